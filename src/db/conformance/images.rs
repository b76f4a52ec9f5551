//! Row images: a whole database copied into another, and sessions that see one state.

mod entering;
mod snapshots;

use std::{collections::BTreeSet, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

use super::{World, announcement, at, recording_id};
use crate::{
    db::{
        Error, Tx,
        budgets::{BudgetedObject, StoredBudget},
        clock::StoredClock,
        grants::{GrantApproval, GrantRow},
        idempotency::StoredRequest,
        image::{self, Image, Table},
        keys::IntendedVault,
        likenesses::LikenessRow,
        listings::ListingRow,
        notices::NoticeRow,
        outbox::StoredMark,
        reconciliations::ReconciliationRow,
        recordings,
        session_calls::SessionCall,
        table::{ColumnKind, Declaration, TableRow as _},
        transcripts::StoredTranscript,
        tx::Arg,
        utterances::StoredUtterance,
    },
    needs,
};

every_database!(
    a_database_travels_to_sqlite,
    a_database_travels_to_postgres,
    the_columns_are_the_databases_own,
    every_table_is_declared,
    chunks_follow_each_other_whatever_their_size,
    pages_come_leaves_first,
    rows_are_found_by_what_they_belong_to,
);

/// Tables that are not moved: their rows are short-lived, or can be found again.
const STAY: [&Declaration; 15] = [
    &BudgetedObject::TABLE,
    &IntendedVault::TABLE,
    &GrantApproval::TABLE,
    &GrantRow::TABLE,
    &LikenessRow::TABLE,
    &ListingRow::TABLE,
    &NoticeRow::TABLE,
    &ReconciliationRow::TABLE,
    &SessionCall::TABLE,
    &StoredBudget::TABLE,
    &StoredClock::TABLE,
    &StoredMark::TABLE,
    &StoredRequest::TABLE,
    &StoredTranscript::TABLE,
    &StoredUtterance::TABLE,
];

/// Tables without a declaration: the library's own, and those with a single row.
const UNDECLARED: [&str; 4] = ["_sqlx_migrations", "audit_head", "timelines", "turner"];

/// Returns every declared table.
fn declared() -> impl Iterator<Item = &'static Declaration> {
    Table::ALL.map(Table::declaration).into_iter().chain(STAY)
}

fn parsed(table: Table, line: &str) -> Image {
    Image::parse(table, line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn line(image: &Image) -> Vec<u8> {
    let mut line = Vec::new();
    image.to_json(&mut line);
    line
}

fn page(id: &str, level: i64, parent: &str) -> Image {
    let sealed = format!("{}AAA=", "/+09".repeat(1374));
    parsed(
        Table::Pages,
        &format!(r#"["{id}","standard",{level},7,{parent},null,128,"hld_1",-5,"{sealed}",3,1]"#),
    )
}

/// Inserts rows of every table, with and without nulls.
async fn filled(world: &World) {
    let all: Vec<_> = (0..200)
        .map(|number| {
            announcement(
                number,
                if number % 3 == 0 {
                    "in-progress"
                } else {
                    "completed"
                },
            )
        })
        .collect();
    world.told(all, at(0)).await;
    let [one, two] = [recording_id(1), recording_id(2)];
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, one, at(5)).await.unwrap();
    recordings::mark_shredded(&mut tx, &[two], at(6))
        .await
        .unwrap();
    let rows = [
        (Table::Vault, r#"["vlt_1",9007199254740993,"dbi_1"]"#.into()),
        (Table::Policies, r#"["d1","2026-01","version = \"2026-01\"\n# ünïcode \\ \u0001 𝄞\n",1,null]"#.into()),
        (Table::Policies, r#"["d2","2026-02","",2,"a.b.c"]"#.into()),
        (Table::SigningKeys, r#"["k1","11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",1,null]"#.into()),
        (Table::SigningKeys, r#"["k2","11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",0,1]"#.into()),
        (Table::Epochs, r#"[1,"",5,null,null,7,8]"#.into()),
        (Table::Epochs, r#"[2,"AAEC/w==",6,"snapshot/2",7,null,null]"#.into()),
        (Table::Principals, r#"["prn_1","person","local","it's","ünïcode",-1]"#.into()),
        (Table::Principals, r#"["prn_2","service","https://issuer.example","local","",9223372036854775807]"#.into()),
        (Table::Tokens, r#"["tok_1","h1","","[]","[]",-1,9223372036854775807,null,"{}","prn_1"]"#.into()),
        (Table::Tokens, r#"["tok_2","h2","it's","[\"reviewer\"]","[]",-9223372036854775808,2,3,"{\"team\":[\"a\"]}","prn_1"]"#.into()),
        (Table::Artefacts, format!(r#"["{one}","all","audio","obj_1","",10,20,"s",65536,"audio/wav",null,null]"#)),
        (Table::Packs, r#"[9007199254740993,"obj_2",4,"s",5,null,null,null]"#.into()),
        (Table::Packs, r#"[7,"obj_3",0,"",5,6,1,8]"#.into()),
        (Table::PackContents, format!(r#"[9007199254740993,"{one}"]"#)),
        (Table::PackContents, format!(r#"[7,"{two}"]"#)),
        (Table::Artefacts, format!(r#"["{one}","all","form",null,"AAEC/w==",10,4,"s",16384,"application/json",null,null]"#)),
        (Table::Artefacts, format!(r#"["{one}","all","transcript",null,"",10,4,"s",16384,"application/json",9007199254740993,0]"#)),
        (Table::Details, format!(r#"["{one}","AAEC/w==",5]"#)),
        (Table::Sources, format!(r#"["{one}","recording","RE1","there",5,null,null,null,6,null]"#)),
        (Table::Sources, format!(r#"["{one}","transcript","GT1","confirmed",5,6,7,8,null,9]"#)),
        (Table::Links, format!(r#"["{one}","{two}","exact","interaction"]"#)),
        (Table::Links, format!(r#"["{one}","{two}","inferred","same-text"]"#)),
        (Table::Links, format!(r#"["{two}","{one}","exact","delivery-receipt"]"#)),
        (Table::Tombstones, format!(r#"["{two}","all",6,"rcp_2","f2",1]"#)),
        (Table::Tombstones, format!(r#"["{two}","caller",6,"rcp_2","f5",1]"#)),
        (Table::Tombstones, format!(r#"["{}","all",6,"rcp_3",null,null]"#, recording_id(3))),
        (Table::Receipts, format!(r#"["rcp_2","{two}","tombstoned","a.b.c",6,null]"#)),
        (Table::Receipts, format!(r#"["rcp_3","{}","closed","d.e.f",6,0]"#, recording_id(3))),
        (Table::Parties, r#"["CA1","*","callee",null,5,"",null,"",null,null]"#.into()),
        (Table::Parties, r#"["CA1","*","caller","sub_1",6,"*",1,"AAEC/w==",1,null]"#.into()),
        (Table::Parties, r#"["CF1","*","caller","sub_1",7,"*",2,"",-1,9]"#.into()),
        (Table::Chats, r#"["CH1","AC1","IS1","closed",5,6,7,8,9]"#.into()),
        (Table::Chats, r#"["CH1","AC2",null,null,null,null,null,null,null]"#.into()),
        (Table::Consents, r#"["cns_1","sub_1",null,null,"[]","[]","given","import",null,null,"",1,2,"operator:root","*"]"#.into()),
        (Table::Consents, r#"["cns_2",null,"CA1","callee","[]","[\"recording\"]","declined","keypad","d","1","AAEC/w==",3,4,"vault",""]"#.into()),
        (Table::Holds, format!(r#"["{one}","case-1","legal-request","dispute","court 7 C 12/26",9,8,"operator:root",null]"#)),
        (Table::Holds, format!(r#"["{one}","case-2","legal-request","dispute","court",9,8,"operator:root",10]"#)),
        (Table::Approvals, format!(r#"["apr_1","{one}","tok_2","legal-request","AAEC/w==","requested",1,2,null,null]"#)),
        (Table::Approvals, format!(r#"["apr_2","{one}","tok_2","legal-request","AA==","approved",1,2,3,"tok_1"]"#)),
        (
            Table::Revocations,
            r#"["rvk_1","subject","sub_1","[]","[\"AC1\"]","subject-request","operator:root",5,"running",null,null,null]"#.into(),
        ),
        (Table::Revocations, format!(r#"["rvk_2","recording","{two}","[\"training\"]","[]","x","vault",5,"done","{two}","a.b.c",6]"#)),
        (Table::Revoked, format!(r#"["{one}","rvk_1","held","own","call"]"#)),
        (Table::Revoked, format!(r#"["{two}","rvk_2","shredded","received","message"]"#)),
        (Table::SharedRows, r#"["obj_8","c",3,4,5,null,null]"#.into()),
        (Table::SharedRows, r#"["obj_9","d",3,0,5,1,8]"#.into()),
        (Table::Gaps, "[2,7,9,5]".into()),
        (Table::Audit, format!(r#"[1,6,"operator:root","shred.tombstoned","{two}","{{}}",null,null]"#)),
        (Table::Audit, r#"[2,7,"vault","work.dead",null,"{\"a\": 1}",1,35]"#.into()),
    ];
    for (table, line) in rows {
        image::insert(&mut tx, table, &[parsed(table, &line)])
            .await
            .unwrap();
    }
    let pages = [
        ("pag_5", 0, "\"pag_4\""),
        ("pag_1", 4, "null"),
        ("pag_9", 0, "\"pag_4\""),
        ("pag_4", 1, "\"pag_1\""),
        ("pag_6", 0, "\"pag_4\""),
    ];
    image::insert(
        &mut tx,
        Table::Pages,
        &pages.map(|(id, level, parent)| page(id, level, parent)),
    )
    .await
    .unwrap();
    let entry = parsed(
        Table::KeyEntries,
        &format!(r#"["{one}","all","pag_5",127,"f1"]"#),
    );
    image::insert(&mut tx, Table::KeyEntries, &[entry])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Returns all rows of a table, read `limit` at a time.
async fn all(tx: &mut Tx, table: Table, limit: i64) -> Vec<Image> {
    let mut all: Vec<Image> = Vec::new();
    loop {
        let chunk = image::chunk(tx, table, all.last(), limit).await.unwrap();
        let is_last = i64::try_from(chunk.len()).unwrap() < limit;
        all.extend(chunk);
        if is_last {
            return all;
        }
    }
}

async fn contents(world: &World) -> Vec<Vec<Image>> {
    let mut tx = world.db.snapshot().await.unwrap();
    let mut contents = Vec::new();
    for table in Table::ALL {
        contents.push(all(&mut tx, table, 1000).await);
    }
    contents
}

async fn travel(from: &World, to: &World) {
    filled(from).await;
    let mut snapshot = from.db.snapshot().await.unwrap();
    let mut tx = to.tx().await;
    assert_eq!(image::first_row(&mut tx).await.unwrap(), None);
    assert!(image::first_row(&mut snapshot).await.unwrap().is_some());
    image::defer_references(&mut tx).await.unwrap();
    for table in Table::ALL {
        let mut last: Option<Image> = None;
        loop {
            let lines: Vec<_> = image::chunk(&mut snapshot, table, last.as_ref(), 64)
                .await
                .unwrap()
                .iter()
                .map(line)
                .collect();
            let images: Vec<_> = lines
                .iter()
                .map(|line| Image::parse(table, line).unwrap())
                .collect();
            image::insert(&mut tx, table, &images).await.unwrap();
            match images.last() {
                Some(image) => last = Some(image.clone()),
                None => break,
            }
        }
        let count = image::count(&mut tx, table).await.unwrap();
        assert!(count > 0, "a row of {table:?} travelled");
        assert_eq!(count, image::count(&mut snapshot, table).await.unwrap());
    }
    tx.commit().await.unwrap();
    let before = contents(from).await;
    let after = contents(to).await;
    assert_eq!(before, after);
    for query in [
        "SELECT COUNT(*) FROM recordings WHERE call_sid IS NULL",
        "SELECT COUNT(*) FROM pages WHERE parent IS NOT NULL AND parent_slot IS NULL",
        "SELECT created_at FROM vault",
        "SELECT MIN(created_at) FROM tokens",
        "SELECT CAST(SUM(LENGTH(sealed)) AS BIGINT) FROM pages",
        "SELECT CAST(LENGTH(source) AS BIGINT) FROM policies",
    ] {
        assert_eq!(from.int(query).await, to.int(query).await, "{query}");
    }
    assert_eq!(
        to.int("SELECT CAST(MIN(LENGTH(sealed)) AS BIGINT) FROM pages")
            .await,
        4124
    );
}

async fn a_database_travels_to_sqlite(world: &World) {
    let to = World::sqlite().await;
    travel(world, &to).await;
    to.end(Ok(())).await;
}

async fn a_database_travels_to_postgres(world: &World) {
    if needs::given("RECVAULT_TEST_POSTGRES").is_none() {
        return;
    }
    let to = World::postgres().await;
    let outcome = AssertUnwindSafe(travel(world, &to)).catch_unwind().await;
    to.end(outcome).await;
}

async fn the_columns_are_the_databases_own(world: &World) {
    // In SQLite a column of the primary key need not be declared not null.
    const SQLITE: &str = r#"SELECT name, type, CASE WHEN "notnull" = 0 AND pk = 0 THEN 1 ELSE 0 END AS nullable, pk
        FROM pragma_table_info($1) ORDER BY cid"#;
    const POSTGRES: &str = "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
          (NOT a.attnotnull)::int::bigint AS nullable, (COALESCE(array_position(i.indkey::int2[], a.attnum), -1) + 1)::bigint AS pk
        FROM pg_attribute a JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
        WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum";
    let mut tx = world.tx().await;
    for table in declared() {
        let sql = if world.is_sqlite() { SQLITE } else { POSTGRES };
        let rows = tx.fetch_all(sql, &[Arg::Text(table.name)]).await.unwrap();
        let mut theirs = Vec::new();
        for row in &rows {
            let kind = match (
                row.text("type").unwrap().to_lowercase().as_str(),
                row.int("nullable").unwrap(),
            ) {
                ("text", 0) => ColumnKind::Text,
                ("text", 1) => ColumnKind::MaybeText,
                ("integer" | "bigint", 0) => ColumnKind::Int,
                ("integer" | "bigint", 1) => ColumnKind::MaybeInt,
                ("blob" | "bytea", 0) => ColumnKind::Bytes,
                other => panic!("{}: {other:?}", table.name),
            };
            theirs.push((row.text("name").unwrap(), kind, row.int("pk").unwrap()));
        }
        let of_key = |at: usize| {
            if at < table.key {
                i64::try_from(at).unwrap() + 1
            } else {
                0
            }
        };
        let columns = table.columns.iter().enumerate();
        let ours: Vec<_> = columns
            .map(|(at, column)| (column.name.to_owned(), column.kind, of_key(at)))
            .collect();
        assert_eq!(ours, theirs, "{}", table.name);
    }
}

async fn every_table_is_declared(world: &World) {
    let sql = match world.is_sqlite() {
        true => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        false => {
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()"
        }
    };
    let rows = world.tx().await.fetch_all(sql, &[]).await.unwrap();
    let theirs: BTreeSet<String> = rows.iter().map(|row| row.text("name").unwrap()).collect();
    let ours: BTreeSet<String> = declared()
        .map(|table| table.name)
        .chain(UNDECLARED)
        .map(str::to_owned)
        .collect();
    assert_eq!(ours, theirs);
}

async fn chunks_follow_each_other_whatever_their_size(world: &World) {
    filled(world).await;
    let mut tx = world.db.read().await.unwrap();
    for table in Table::ALL {
        let whole = all(&mut tx, table, 1000).await;
        for limit in [1, 2, 3, 7, 199, 200, 201] {
            assert_eq!(
                all(&mut tx, table, limit).await,
                whole,
                "{table:?} by {limit}"
            );
        }
        assert!(
            image::chunk(&mut tx, table, None, 0)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            image::chunk(&mut tx, table, whole.last(), 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
    let empty = World::sqlite().await;
    for table in Table::ALL {
        assert!(
            all(&mut empty.db.read().await.unwrap(), table, 2)
                .await
                .is_empty()
        );
    }
    empty.end(Ok(())).await;
}

async fn pages_come_leaves_first(world: &World) {
    filled(world).await;
    let pages = all(&mut world.db.read().await.unwrap(), Table::Pages, 2).await;
    let order: Vec<_> = pages
        .iter()
        .map(|page| (page.int("level").unwrap(), page.text("id").unwrap()))
        .collect();
    assert_eq!(
        order,
        [
            (0, "pag_5"),
            (0, "pag_6"),
            (0, "pag_9"),
            (1, "pag_4"),
            (4, "pag_1")
        ]
    );
}

async fn rows_are_found_by_what_they_belong_to(world: &World) {
    filled(world).await;
    let one = recording_id(1).to_string();
    let two = recording_id(2).to_string();
    let mut tx = world.db.read().await.unwrap();
    for (table, subject, count) in [
        (Table::Recordings, one.as_str(), 1),
        (Table::KeyEntries, &one, 1),
        (Table::Artefacts, &one, 3),
        (Table::Tombstones, &one, 0),
        (Table::Tombstones, &two, 2),
        (Table::Receipts, &two, 1),
        (Table::Work, &one, 1),
        (Table::SigningKeys, "k2", 1),
        (Table::Policies, "d1", 1),
        (Table::Tokens, "tok_2", 1),
        (Table::Pages, "pag_4", 1),
        (Table::Pages, "", 0),
        (Table::Details, &one, 1),
        (Table::Sources, &one, 2),
        (Table::Links, &one, 2),
        (Table::Parties, "CA1", 2),
        (Table::Consents, "cns_2", 1),
        (Table::Holds, &one, 2),
        (Table::Approvals, &one, 2),
        (Table::Revocations, "rvk_1", 1),
        (Table::Revoked, &two, 1),
    ] {
        let found = image::find(&mut tx, table, subject).await.unwrap();
        assert_eq!(found.len(), count, "{table:?} of {subject}");
        let every = all(&mut tx, table, 1000).await;
        assert!(found.iter().all(|image| every.contains(image)));
    }
    for table in [Table::Vault, Table::Epochs, Table::Audit] {
        assert!(matches!(
            image::find(&mut tx, table, "1").await,
            Err(Error::Statement(_))
        ));
    }
}
