//! Inserts of images, accepted and refused.

use super::{
    super::{World, recording_id},
    contents, filled, page, parsed,
};
use crate::db::{
    Error,
    image::{self, Table},
    table::ColumnKind,
};

every_database!(
    a_row_is_entered_once,
    replacing_leaves_tombstones_and_the_log_alone,
    an_image_of_another_table_is_refused,
    references_are_asked_for_at_the_commit,
    a_value_that_cannot_be_names_table_column_and_id,
);

async fn a_row_is_entered_once(world: &World) {
    filled(world).await;
    let before = contents(world).await;
    for (table, images) in Table::ALL.into_iter().zip(&before) {
        let twice = image::insert(&mut world.tx().await, table, &images[..1]).await;
        assert!(
            matches!(twice, Err(Error::Conflict | Error::Statement(_))),
            "{table:?}: {twice:?}"
        );
        image::insert(&mut world.tx().await, table, &[])
            .await
            .unwrap();
    }
    assert_eq!(contents(world).await, before);
}

async fn replacing_leaves_tombstones_and_the_log_alone(world: &World) {
    filled(world).await;
    let mut expected = contents(world).await;
    let mut tx = world.tx().await;
    for (table, images) in Table::ALL.into_iter().zip(&mut expected) {
        let others = &table.columns()[table.key().len()..];
        let column = others
            .iter()
            .rfind(|column| matches!(column.kind, ColumnKind::Int | ColumnKind::MaybeInt));
        let changed = match (table, column) {
            (Table::Audit, _) => images[0].clone().with_text("event", Some("changed")),
            // All of its columns are the key.
            (Table::PackContents, _) => Ok(images[0].clone()),
            (_, Some(column)) => images[0].clone().with_int(column.name, Some(77)),
            (_, None) => images[0].clone().with_text(others[0].name, Some("changed")),
        };
        let changed = changed.unwrap();
        let unchanged = image::upsert(&mut tx, table, &images[1..]).await;
        unchanged.unwrap_or_else(|error| panic!("{table:?}: {error}"));
        image::upsert(&mut tx, table, std::slice::from_ref(&changed))
            .await
            .unwrap();
        if !matches!(table, Table::Tombstones | Table::Consents | Table::Audit) {
            images[0] = changed;
        }
    }
    let new = [
        parsed(
            Table::Tombstones,
            &format!(r#"["{}","all",8,"rcp_4","f4",3]"#, recording_id(4)),
        ),
        parsed(
            Table::Audit,
            r#"[3,8,"vault","work.dead",null,"{}",null,null]"#,
        ),
        parsed(Table::Epochs, r#"[3,"AA==",9,null,null,null,null]"#),
    ];
    for new in new {
        let at = Table::ALL
            .iter()
            .position(|table| *table == new.table())
            .unwrap();
        let both = [expected[at][0].clone(), new.clone()];
        image::upsert(&mut tx, new.table(), &both).await.unwrap();
        image::upsert(&mut tx, new.table(), &both).await.unwrap();
        expected[at].push(new);
        expected[at].sort();
    }
    tx.commit().await.unwrap();
    let mut seen = contents(world).await;
    for images in seen.iter_mut().chain(&mut expected) {
        images.sort();
    }
    assert_eq!(seen, expected);
}

async fn an_image_of_another_table_is_refused(world: &World) {
    filled(world).await;
    let other = parsed(Table::Vault, r#"["vlt_2",1,"dbi_2"]"#);
    let mut tx = world.tx().await;
    assert!(matches!(
        image::insert(&mut tx, Table::Work, std::slice::from_ref(&other)).await,
        Err(Error::Statement(_))
    ));
    assert!(matches!(
        image::upsert(&mut tx, Table::Work, std::slice::from_ref(&other)).await,
        Err(Error::Statement(_))
    ));
    assert!(matches!(
        image::chunk(&mut tx, Table::Work, Some(&other), 9).await,
        Err(Error::Statement(_))
    ));
    assert_eq!(image::count(&mut tx, Table::Vault).await.unwrap(), 1);
}

async fn references_are_asked_for_at_the_commit(world: &World) {
    let id = world.one_announced().await;
    let entry = [parsed(
        Table::KeyEntries,
        &format!(r#"["{id}","all","pag_1",0,"f"]"#),
    )];
    let at_once = image::insert(&mut world.tx().await, Table::KeyEntries, &entry).await;
    assert!(matches!(at_once, Err(Error::Statement(_))), "{at_once:?}");
    for (with_page, is_kept) in [(false, false), (true, true)] {
        let mut tx = world.tx().await;
        image::defer_references(&mut tx).await.unwrap();
        image::insert(&mut tx, Table::KeyEntries, &entry)
            .await
            .unwrap();
        if with_page {
            image::insert(&mut tx, Table::Pages, &[page("pag_1", 0, "null")])
                .await
                .unwrap();
        }
        let outcome = tx.commit().await;
        assert!(
            matches!(
                (&outcome, is_kept),
                (Ok(()), true) | (Err(Error::Statement(_)), false)
            ),
            "{outcome:?}"
        );
        assert_eq!(
            world.int("SELECT COUNT(*) FROM key_entries").await,
            i64::from(is_kept)
        );
    }
    let again = parsed(
        Table::KeyEntries,
        &format!(r#"["{id}","other","pag_2",0,"f"]"#),
    );
    let at_once = image::insert(&mut world.tx().await, Table::KeyEntries, &[again]).await;
    assert!(
        matches!(at_once, Err(Error::Statement(_))),
        "for one unit of work only: {at_once:?}"
    );
}

async fn a_value_that_cannot_be_names_table_column_and_id(world: &World) {
    if !world.is_sqlite() {
        return;
    }
    filled(world).await;
    world
        .sql(&[
            "UPDATE tokens SET expires_at = 'never' WHERE id = 'tok_2'",
            "UPDATE epochs SET snapshot = x'ff' WHERE epoch = 2",
        ])
        .await;
    let mut tx = world.tx().await;
    for (table, column, id) in [
        (Table::Tokens, "expires_at", "tok_2"),
        (Table::Epochs, "snapshot", "2"),
    ] {
        let refused = image::chunk(&mut tx, table, None, 9)
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            format!(
                "table `{}` column `{column}` row `{id}` has an invalid value",
                table.name()
            )
        );
    }
}
