//! An old copy of the database is in use, or the database is lost: every writing command refuses,
//! and states the remedy.

use std::fs;

use crate::{
    client::eventually,
    database::{Database, Kind},
    needs,
    world::{World, sound},
};

/// Every command that would write.
const WRITERS: [&[&str]; 9] = [
    &["token", "create", "--label", "x", "--role", "auditor"],
    &["epoch", "turn"],
    &["rotate"],
    &["sweep"],
    &["snapshot", "create"],
    &["retention", "sweep"],
    &["retry"],
    &[
        "consent",
        "record",
        "--subject",
        "+15550100",
        "--answer",
        "declined",
        "--method",
        "letter",
    ],
    &[
        "revoke",
        "--account",
        "AC00000000000000000000000000000000",
        "--reason",
        "x",
    ],
];

/// Points the configuration to another database.
fn on(world: &World, database: &Database) {
    let text = fs::read_to_string(world.path("recvault.toml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("url = \"sqlite:") || line.starts_with("url = \"postgres"))
        .unwrap();
    fs::write(
        world.path("recvault.toml"),
        text.replacen(line, &format!("url = \"{}\"", database.url()), 1),
    )
    .unwrap();
}

async fn every_command_refuses_an_old_copy(kind: Kind) {
    let world = World::on(kind).await;
    let service = world.serve().await;
    let dies = world.sealed(&service.client, sound(1, 1)).await;
    service.process.stop().await;
    let copy = world.database.copied(world.folder.path()).await;
    world
        .run(&["shred", &dies.to_string(), "--reason", "subject-request"])
        .done();
    let roots = fs::read(world.path("custody/root")).unwrap();
    let entries = "SELECT CAST(COUNT(*) AS TEXT) FROM audit";
    let before = copy.texts(entries).await;

    on(&world, &copy);
    for command in WRITERS.iter().cycle().take(2 * WRITERS.len()) {
        let refused = world.run(command).refused();
        assert!(
            refused.contains("lacks later changes") && refused.contains("snapshot restore"),
            "{command:?}: {refused}"
        );
    }
    let serving = world.launch(None);
    assert!(!serving.end().await.success());
    assert!(
        serving.log().contains("lacks later changes"),
        "{}",
        serving.log()
    );
    // A reading command warns, and reads.
    let status = world.run(&["status"]);
    assert!(
        status.code == Some(0) && status.stderr.contains("out of date"),
        "{status:?}"
    );
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.code == Some(1) && doctor.stdout.contains("lacks later changes"),
        "{doctor:?}"
    );
    assert_eq!(
        (
            fs::read(world.path("custody/root")).unwrap(),
            copy.texts(entries).await
        ),
        (roots, before),
        "nothing was written or destroyed"
    );

    // The newer database continues.
    on(&world, &world.database);
    let service = world.serve().await;
    assert!(
        eventually(
            async || service.client.state(dies).await.unwrap().as_deref() == Some("shredded")
        )
        .await
    );
    service.process.stop().await;
}

async fn a_lost_database_is_rebuilt_and_not_made_anew(kind: Kind) {
    let mut world = World::on(kind).await;
    let service = world.serve().await;
    let lives = world.sealed(&service.client, sound(1, 1)).await;
    service.process.stop().await;
    let roots = fs::read(world.path("custody/root")).unwrap();
    let objects = world.objects();
    let empty = match kind {
        Kind::Sqlite => Database::Sqlite(world.path("empty.db")),
        Kind::Postgres => {
            Database::create_postgres(&needs::required("RECVAULT_TEST_POSTGRES")).await
        }
    };
    on(&world, &empty);
    for command in [
        &["init", "."][..],
        &["status"],
        &["sweep"],
        &["epoch", "turn"],
        &["snapshot", "create"],
    ] {
        let refused = world.run(command).refused();
        assert!(
            refused.contains("holds no vault, but a vault exists")
                && refused.contains("snapshot restore"),
            "{command:?}: {refused}"
        );
    }
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.code == Some(1) && doctor.stdout.contains("snapshot restore"),
        "{doctor:?}"
    );
    assert_eq!(
        (
            fs::read(world.path("custody/root")).unwrap(),
            world.objects()
        ),
        (roots, objects)
    );

    // It dies after everything is in the database: the same command completes it.
    let ended = world.run_until("restore.committed", &["snapshot", "restore", "--take-over"]);
    assert_eq!(ended.code, None, "{ended:?}");
    let done = world
        .run(&["snapshot", "restore", "--take-over", "--json"])
        .json();
    assert_eq!(
        (done["settled"].as_bool(), done["vault"].as_str()),
        (Some(true), Some(world.vault.to_string().as_str()))
    );
    let refused = world.run(&["snapshot", "restore", "--take-over"]).refused();
    assert!(refused.contains("not empty"), "{refused}");
    world.database = empty;
    let service = world.serve().await;
    assert_eq!(
        service.client.state(lives).await.unwrap().as_deref(),
        Some("sealed")
    );
    service.process.stop().await;
}

#[tokio::test]
async fn every_command_refuses_an_old_copy_on_sqlite() {
    every_command_refuses_an_old_copy(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn every_command_refuses_an_old_copy_on_postgres() {
    every_command_refuses_an_old_copy(Kind::Postgres).await;
}

#[tokio::test]
async fn a_lost_database_is_rebuilt_and_not_made_anew_on_sqlite() {
    a_lost_database_is_rebuilt_and_not_made_anew(Kind::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn a_lost_database_is_rebuilt_and_not_made_anew_on_postgres() {
    a_lost_database_is_rebuilt_and_not_made_anew(Kind::Postgres).await;
}

#[tokio::test]
async fn a_sweep_says_beforehand_what_it_would_remove() {
    let world = World::sqlite().await;
    let object = world.path("objects/objects/0a/0a000000000000000000000000000000.floe");
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(&object, b"nobody's").unwrap();
    // The first of January 2020.
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800);
    fs::File::options()
        .write(true)
        .open(&object)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let would = world.run(&["sweep", "--dry-run", "--json"]).json();
    assert_eq!(would["would_remove"].as_array().unwrap().len(), 1);
    assert!(object.exists());
    assert_eq!(world.run(&["sweep", "--json"]).json()["orphans"], 1);
    assert!(!object.exists());
}

#[tokio::test]
async fn the_policy_that_the_service_decides_by_answers_why_not() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let recording = world.sealed(&service.client, sound(1, 1)).await;
    service.process.stop().await;
    let token = world
        .run(&[
            "token", "create", "--label", "x", "--role", "auditor", "--json",
        ])
        .json();
    let recording = recording.to_string();
    let ask = [
        "policy",
        "why-not",
        &recording,
        token["id"].as_str().unwrap(),
        "quality-review",
        "--json",
    ];
    let asked = || {
        let ended = world.run(&ask);
        serde_json::from_str::<serde_json::Value>(&ended.stdout)
            .unwrap_or_else(|_| panic!("{ended:?}"))["policy_version"]
            .clone()
    };
    assert_eq!(asked(), "1");
    // The file is changed, but the service has not started with it.
    let file = world.path("privacy-policy.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replacen("version = \"1\"", "version = \"2\"", 1),
    )
    .unwrap();
    assert_eq!(asked(), "1", "the file is not in force");
    world.serve().await.process.stop().await;
    assert_eq!(asked(), "2");
}
