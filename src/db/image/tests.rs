//! Lines of images: the one valid form, many that must be refused, and arbitrary bytes.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Image, InvalidImage, Table};
use crate::db::table::{ColumnKind, Value};

fn line(image: &Image) -> Vec<u8> {
    let mut line = Vec::new();
    image.to_json(&mut line);
    line
}

#[test]
fn a_line_is_one_compact_array() {
    for (table, text) in [
        (Table::Vault, r#"["vlt_1",-9223372036854775808,"dbi_1"]"#),
        (
            Table::Epochs,
            r#"[9223372036854775807,"AAEC+/8=",6,"s",7,null,0]"#,
        ),
        (Table::Epochs, r#"[2,"",6,null,null,null,null]"#),
        (Table::Policies, r#"["","\"\\\n\u0000","ünï/𝄞",1,null]"#),
    ] {
        let image = Image::parse(table, text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(line(&image)).unwrap(), text);
        assert_eq!(image.table(), table);
    }
    let spaced = Image::parse(Table::Vault, b" [ \"v\" ,\t1 , \"d\" ] \r\n").unwrap();
    assert_eq!(line(&spaced), br#"["v",1,"d"]"#);
    let mut after = b"before ".to_vec();
    spaced.to_json(&mut after);
    assert_eq!(after, b"before [\"v\",1,\"d\"]");
}

#[test]
fn what_is_no_line_is_refused() {
    let row = InvalidImage::Row("epochs");
    let column = |column| InvalidImage::Column {
        table: "epochs",
        column,
    };
    for (text, refusal) in [
        ("", row),
        ("[", row),
        ("null", row),
        ("{}", row),
        ("\"\"", row),
        ("[]", row),
        (r#"[1,"",2,null,null,null]"#, row),
        (r#"[1,"",2,null,null,null,null,null]"#, row),
        (r#"[1,"",2,null,null,null,null,]"#, row),
        (r#"[1,"",2,null,null,null,null"#, row),
        (r#"[1,"",2,null,null,null,null]]"#, row),
        (r#"[1,"",2,null,null,null,null] 1"#, row),
        (
            r#"[1,"",2,null,null,null,null][1,"",2,null,null,null,null]"#,
            row,
        ),
        (r#"["1","",2,null,null,null,null]"#, column("epoch")),
        (r#"[1.0,"",2,null,null,null,null]"#, column("epoch")),
        (r#"[1e0,"",2,null,null,null,null]"#, column("epoch")),
        (r#"[true,"",2,null,null,null,null]"#, column("epoch")),
        (
            r#"[9223372036854775808,"",2,null,null,null,null]"#,
            column("epoch"),
        ),
        (r#"[null,"",2,null,null,null,null]"#, column("epoch")),
        (r#"[[1],"",2,null,null,null,null]"#, column("epoch")),
        (r#"[1,null,2,null,null,null,null]"#, column("root_sealed")),
        (r#"[1,"AA",2,null,null,null,null]"#, column("root_sealed")),
        (r#"[1,"AB==",2,null,null,null,null]"#, column("root_sealed")),
        (r#"[1,"A A=",2,null,null,null,null]"#, column("root_sealed")),
        (r#"[1,"_-8=",2,null,null,null,null]"#, column("root_sealed")),
        (r#"[1,[0,1],2,null,null,null,null]"#, column("root_sealed")),
        (r#"[1,"",2,5,null,null,null]"#, column("snapshot")),
        (r#"[1,"",2,{},null,null,null]"#, column("snapshot")),
        (r#"[1,"",2,null,"5",null,null]"#, column("snapshot_at")),
        ("[1,\"\",2,\"\\ud800\",null,null,null]", row),
        ("[1,\"\",2,\"\n\",null,null,null]", row),
    ] {
        assert_eq!(
            Image::parse(Table::Epochs, text.as_bytes()),
            Err(refusal),
            "{text}"
        );
    }
    assert_eq!(
        Image::parse(Table::Vault, b"[\"\xff\",1]"),
        Err(InvalidImage::Row("vault"))
    );
    let nested = "[".repeat(1_000_000);
    assert!(Image::parse(Table::Vault, nested.as_bytes()).is_err());
}

#[test]
fn a_refusal_tells_nothing_of_the_content() {
    for text in [
        r#"["vlt_1","sensitive"]"#,
        r#"["vlt_1",1] sensitive"#,
        r#"[{"sensitive":1},1]"#,
    ] {
        let refusal = Image::parse(Table::Vault, text.as_bytes()).unwrap_err();
        assert!(!format!("{refusal} {refusal:?}").contains("sensitive"));
    }
}

#[test]
fn values_are_asked_for_and_set_by_column() {
    let work = Image::parse(
        Table::Work,
        br#"["fetch","rec_1","due",5,"hld_1",7,2,null,1]"#,
    )
    .unwrap();
    assert_eq!(
        (
            work.text("holder"),
            work.int("due_at"),
            work.text("last_error")
        ),
        (Some("hld_1"), Some(5), None)
    );
    assert_eq!(
        (
            work.text("due_at"),
            work.int("holder"),
            work.text("nothing"),
            work.bytes("kind")
        ),
        (None, None, None, None)
    );
    let rested = work
        .clone()
        .with_text("holder", None)
        .unwrap()
        .with_int("due_at", Some(9))
        .unwrap();
    let rested = rested.with_text("state", Some("dead")).unwrap();
    assert_eq!(
        line(&rested),
        br#"["fetch","rec_1","dead",9,null,7,2,null,1]"#
    );
    for (column, refused) in [
        ("state", work.clone().with_text("state", None)),
        ("due_at", work.clone().with_int("due_at", None)),
        ("due_at", work.clone().with_text("due_at", Some("1"))),
        ("holder", work.clone().with_int("holder", Some(1))),
        ("nothing", work.with_int("nothing", None)),
    ] {
        assert_eq!(
            refused,
            Err(InvalidImage::Column {
                table: "work",
                column
            })
        );
    }
    let epoch = Image::parse(Table::Epochs, br#"[1,"AAE=",2,null,null,null,null]"#).unwrap();
    assert_eq!(
        (epoch.bytes("root_sealed"), epoch.text("root_sealed")),
        (Some([0, 1].as_slice()), None)
    );
    assert!(epoch.with_text("root_sealed", Some("AAE=")).is_err());
}

#[test]
fn tables_are_known_by_name_and_in_order() {
    assert!(Table::ALL.is_sorted());
    for table in Table::ALL {
        assert_eq!(Table::from_name(table.name()), Some(table));
    }
    for other in ["", "Vault", "grants", "turner", "audit_head", "vault; --"] {
        assert_eq!(Table::from_name(other), None);
    }
}

fn value(kind: ColumnKind) -> BoxedStrategy<Value<'static>> {
    let text = any::<String>().prop_map(|text| Value::Text(text.into()));
    let int = any::<i64>().prop_map(Value::Int);
    match kind {
        ColumnKind::Text => text.boxed(),
        ColumnKind::MaybeText => prop_oneof![text, Just(Value::Null)].boxed(),
        ColumnKind::Int => int.boxed(),
        ColumnKind::MaybeInt => prop_oneof![int, Just(Value::Null)].boxed(),
        ColumnKind::Bytes => vec(any::<u8>(), 0..80)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
    }
}

fn image() -> impl Strategy<Value = Image> {
    select(Table::ALL.to_vec()).prop_flat_map(|table| {
        let values: Vec<_> = table
            .columns()
            .iter()
            .map(|column| value(column.kind))
            .collect();
        values.prop_map(move |values| Image { table, values })
    })
}

/// Reads bytes as a line of every table: they are refused, or the image survives a round trip.
fn refused_or_the_same(bytes: &[u8]) {
    for table in Table::ALL {
        if let Ok(image) = Image::parse(table, bytes) {
            assert_eq!(Image::parse(table, &line(&image)), Ok(image));
        }
    }
}

proptest! {
    #[test]
    fn every_image_comes_back_from_its_line(image in image()) {
        let line = line(&image);
        prop_assert!(!line.contains(&b'\n'));
        prop_assert_eq!(Image::parse(image.table, &line), Ok(image));
    }

    #[test]
    fn any_bytes_are_refused_or_come_back(bytes in vec(any::<u8>(), 0..200), text in "[\\[\\]\\{\\}\",:0-9a-z\\\\. ul-]{0,60}") {
        refused_or_the_same(&bytes);
        refused_or_the_same(text.as_bytes());
    }

    #[test]
    fn a_damaged_line_is_refused_or_comes_back(image in image(), at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<bool>()) {
        let mut line = line(&image);
        let at = at.index(line.len());
        if end {
            line.truncate(at);
            prop_assert!(Image::parse(image.table, &line).is_err());
        } else {
            line[at] = byte;
        }
        refused_or_the_same(&line);
    }
}
