//! Queries as audiences: what they give, and that they can change and open nothing, whatever they say.

use std::{collections::BTreeMap, path::Path};

use herald_test_postgres::Cluster;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{bot, broken, rows, rule};
use crate::harness::{
    house::{Herald, House},
    people::{address, person},
};

/// A rule with a query.
fn query(name: &str, sql: &str, url: &str, send: &str) -> String {
    let sql = serde_json::to_string(sql).unwrap();
    rule(name, &format!("{{ sql: {sql}, url: \"{url}\" }}"), send)
}

/// The tables that hostile queries may not change, with as many rows.
fn fill(connection: &rusqlite::Connection) {
    let fill = "CREATE TABLE t (wallet TEXT, seats INTEGER, price REAL, note TEXT, raw BLOB);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
                INSERT INTO t SELECT printf('0x%040x', i), i, NULL, NULL, NULL FROM n;";
    connection.execute_batch(fill).unwrap();
}

/// The digest of every file below a folder, but for herald's own data.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() {
            found.insert(
                name,
                const_hex::encode(Sha256::digest(std::fs::read(&path).unwrap())),
            );
        }
    }
    found
}

/// Fires every rule and gives why it was planned for nobody.
async fn refusals(herald: &Herald, names: impl Iterator<Item = String>) -> BTreeMap<String, String> {
    let names: Vec<String> = names.collect();
    for name in &names {
        herald.fire(name, &json!({})).await;
    }
    let mut reasons = BTreeMap::new();
    for name in names {
        let ended = |line: &Value| line["rule"] == name.as_str() && line["event"] != "occurrence";
        herald
            .until(&format!("the end of {name}"), |lines| lines.iter().any(ended))
            .await;
        let event = herald.lines().into_iter().find(ended).unwrap();
        let kind = event["event"].as_str().unwrap();
        assert!(
            ["error", "rejected", "skipped"].contains(&kind),
            "{name}: {event}"
        );
        reasons.insert(name, event["reason"].as_str().unwrap().to_owned());
    }
    reasons
}

#[tokio::test]
async fn a_query_to_a_sqlite_file_writes_to_its_rows() {
    let to = "{ sql: \"SELECT * FROM t WHERE wallet NOT LIKE '0x000%'\", url: \"sqlite:shop.db\", where: row.seats > 1 }";
    let send = "{{ to.seats + 1 }} {{ to.price }} {{ to.note or 'none' }} {{ to.raw }}";
    let house = House::of(&bot(&rule("sql", to, send)));
    let shop = rusqlite::Connection::open(house.folder().join("shop.db")).unwrap();
    fill(&shop);
    let insert = "INSERT INTO t VALUES (?1, ?2, 0.1, NULL, x'c0ffee')";
    let alice = address("alice").to_string();
    for (wallet, seats) in [(alice.as_str(), 2), (alice.as_str(), 9), ("0x12", 3), ("0x13", 1)] {
        shop.execute(insert, (wallet, seats)).unwrap();
    }
    shop.execute("INSERT INTO t VALUES (x'00112233', 5, NULL, NULL, NULL)", [])
        .unwrap();
    drop(shop);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire("sql", &json!({})).await;
    alice.reads(herald.address(), &["3 0.1 none 0xc0ffee"]).await;
    assert_eq!(rows(&house, "sql").await.len(), 1);
    let told = broken(&house).await;
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("sql 3 found `0x12`"), "{told:?}");
}

/// Queries that would change, open or take more than they may, for SQLite.
const HOSTILE: [&str; 37] = [
    "INSERT INTO t (wallet) VALUES ('x')",
    "INSERT INTO t (wallet) VALUES ('x') RETURNING wallet",
    "REPLACE INTO t (wallet) VALUES ('x')",
    "UPDATE t SET wallet = 'x'",
    "UPDATE t SET wallet = 'x' RETURNING wallet",
    "DELETE FROM t",
    "DELETE FROM t RETURNING wallet",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN evil TEXT",
    "CREATE TABLE evil AS SELECT wallet FROM t",
    "CREATE TEMP TABLE evil AS SELECT wallet FROM t",
    "CREATE VIEW evil AS SELECT wallet FROM t",
    "CREATE TRIGGER evil AFTER INSERT ON t BEGIN DELETE FROM t; END",
    "CREATE INDEX evil ON t (wallet)",
    "CREATE VIRTUAL TABLE evil USING fts5(wallet)",
    "ATTACH 'evil.db' AS evil",
    "ATTACH ':memory:' AS evil",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO 'evil.db'",
    "ANALYZE",
    "REINDEX",
    "BEGIN IMMEDIATE",
    "SAVEPOINT evil",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "PRAGMA query_only = 0",
    "PRAGMA user_version = 7",
    "SELECT name AS wallet FROM pragma_table_info('t')",
    "SELECT load_extension('./evil.so') AS wallet",
    "SELECT writefile('evil.txt', 'x') AS wallet",
    "SELECT readfile('/etc/passwd') AS wallet",
    "SELECT edit('x', 'touch evil.txt') AS wallet",
    "SELECT wallet FROM t; DELETE FROM t",
    "SELECT wallet FROM t; SELECT wallet FROM t",
    "SELECT zeroblob(1000000000) AS wallet",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS wallet FROM n WHERE i < 0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_changes_a_sqlite_file_opens_another_or_never_ends() {
    let rules: Vec<String> = (0..)
        .zip(HOSTILE)
        .map(|(number, sql)| query(&format!("q{number}"), sql, "sqlite:shop.db", "hi"))
        .collect();
    let house = House::of(&bot(&rules.concat()));
    fill(&rusqlite::Connection::open(house.folder().join("shop.db")).unwrap());
    let before = files(house.folder());
    let herald = house.start().await;
    let names = (0..HOSTILE.len()).map(|number| format!("q{number}"));
    let reasons = refusals(&herald, names).await;
    let after = files(house.folder());
    assert_eq!(before, after, "{reasons:#?}");
    assert_eq!(house.deliveries(&[]).await.len(), 0, "{reasons:#?}");
    assert_eq!(
        reasons["q36"],
        "its audience cannot be read: `sql`: the query did not end within 30 s"
    );
    assert_eq!(reasons["q15"], "the query may only read: it does something else");
}

#[tokio::test]
async fn a_sqlite_file_outside_of_the_folder_is_the_operators_to_name() {
    let rules = [
        query("secret", "SELECT wallet FROM t WHERE seats = 1", "env:SHOP", "hi"),
        query("own", "SELECT wallet FROM member", "sqlite:data/herald.db", "hi"),
    ];
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("shop.db");
    fill(&rusqlite::Connection::open(&path).unwrap());
    let house = House::of(&bot(&rules.concat())).set("SHOP", &format!("sqlite:{}", path.display()));
    let herald = house.start().await;
    herald.fire("secret", &json!({})).await;
    herald.event("held", |event| event["rule"] == "secret").await;
    let reasons = refusals(&herald, ["own".to_owned()].into_iter()).await;
    let told = "its audience cannot be read: `url`: `data/herald.db` is among herald's own files";
    assert_eq!(reasons["own"], told);
}

/// A database with a table that its reader may change, but for the transaction.
async fn shop(cluster: &Cluster) -> (String, tokio_postgres::Client) {
    let url = cluster.database();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its client")]
    tokio::spawn(connection);
    let fill = "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
                CREATE TABLE t AS SELECT '0x' || lpad(to_hex(i), 40, '0') AS wallet, i AS seats FROM generate_series(1, 1100) AS i;
                CREATE SEQUENCE s;
                CREATE FUNCTION evil() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; RETURN 'x'; END $$;
                GRANT ALL ON t TO reader; GRANT ALL ON s TO reader; GRANT ALL ON SCHEMA public TO reader;";
    client.batch_execute(fill).await.unwrap();
    (url.replace("postgres@", "reader@"), client)
}

/// What may not change.
async fn canary(client: &tokio_postgres::Client) -> String {
    let query = "SELECT (SELECT count(*) || md5(string_agg(wallet, ',' ORDER BY seats)) FROM t)
                        || (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace)
                        || (SELECT last_value::text || is_called FROM s) || (SELECT count(*) FROM pg_largeobject_metadata)";
    client.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn check_connect_lets_postgresql_judge_a_query_and_runs_nothing() {
    let (url, client) = shop(Cluster::shared()).await;
    let before = canary(&client).await;
    let rules = [
        query("good", "SELECT wallet, seats FROM t", "env:DATABASE", "hi"),
        query("evil", "SELECT evil() AS wallet", "env:DATABASE", "hi"),
        query("lost", "SELECT wallet FROM nowhere", "env:DATABASE", "hi"),
        query("blind", "SELECT seats FROM t", "env:DATABASE", "hi"),
        query("delete", "DELETE FROM t", "env:DATABASE", "hi"),
    ];
    let house = House::of(&bot(&rules.concat())).set("DATABASE", &url);
    let found = house
        .run(&["check", "bot.yaml", "--connect", "--json"])
        .await
        .expect(1);
    let told: BTreeMap<String, String> = found
        .json_lines()
        .iter()
        .filter(|line| line["code"] == "E502")
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            (text("path"), text("message"))
        })
        .collect();
    let paths: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        ["rules.blind.to.sql", "rules.delete.to.sql", "rules.lost.to.sql"]
    );
    assert!(told["rules.lost.to.sql"].contains("nowhere"), "{told:?}");
    assert!(
        told["rules.blind.to.sql"].contains("no column `wallet`"),
        "{told:?}"
    );
    assert_eq!(canary(&client).await, before);
}

#[tokio::test]
async fn a_query_to_postgresql_gives_exact_values_of_every_type() {
    let cluster = Cluster::shared();
    let (url, client) = shop(cluster).await;
    let values = [
        "true",
        "7::int2",
        "-7::int4",
        "9007199254740993::int8",
        "0.1::float4",
        "0.1::float8",
        "1e300::float8",
        "12345678901234567890123456789.00100::numeric",
        "-0.5::numeric",
        "0::numeric",
        "1e20::numeric",
        "10000.0001::numeric",
        "'word'::varchar",
        "'x'::name",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
        "'2026-11-29'::date",
        "'1999-12-31'::date",
    ];
    let columns: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, value)| format!("({value}) AS c{at}"))
        .collect();
    let sql = format!(
        "SELECT '{}' AS wallet, {}, '2026-11-29T12:00:00Z'::timestamptz AS t, '{{\"a\": [1]}}'::jsonb AS j, '\\xc0ffee'::bytea AS b,
         NULL::text AS none, 5 AS number",
        address("alice"),
        columns.join(", ")
    );
    let printed: Vec<String> = (0..values.len())
        .map(|at| format!("{{{{ to.c{at} }}}}"))
        .collect();
    let send = format!(
        "{} {{{{ to.t }}}} {{{{ to.j.a }}}} {{{{ to.b }}}} {{{{ to.none or 'x' }}}} {{{{ to.number * 2 }}}}",
        printed.join(" ")
    );
    let house = House::of(&bot(&query("sql", &sql, "env:SHOP", &send))).set("SHOP", &url);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald.fire("sql", &json!({})).await;
    let mut wanted = Vec::new();
    for value in values {
        // As the server itself prints it.
        let text: String = client
            .query_one(&format!("SELECT ({value})::text"), &[])
            .await
            .unwrap()
            .get(0);
        wanted.push(match text.as_str() {
            "1e+300" => format!("1{}", "0".repeat(300)),
            _ => text,
        });
    }
    let wanted = format!("{} 2026-11-29T12:00:00Z 1 0xc0ffee x 10", wanted.join(" "));
    alice.reads(herald.address(), &[&wanted]).await;
}

/// Queries that would change, open or take more than they may, for PostgreSQL.
const HOSTILE_TO_POSTGRESQL: [&str; 46] = [
    "INSERT INTO t VALUES ('x', 1)",
    "INSERT INTO t VALUES ('x', 1) RETURNING wallet",
    "UPDATE t SET wallet = 'x' RETURNING wallet",
    "DELETE FROM t RETURNING wallet",
    "WITH x AS (DELETE FROM t RETURNING wallet) SELECT wallet FROM x",
    "TRUNCATE t",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN evil text",
    "CREATE TABLE evil AS SELECT wallet FROM t",
    "CREATE TEMP TABLE evil AS SELECT wallet FROM t",
    "SELECT wallet INTO evil FROM t",
    "CREATE FUNCTION evil2() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT evil() AS wallet",
    "DO $$ BEGIN DELETE FROM t; END $$",
    "COPY t TO '/tmp/herald-evil'",
    "COPY t TO PROGRAM 'touch /tmp/herald-evil'",
    "COPY t FROM PROGRAM 'echo x'",
    "COPY t TO STDOUT",
    "SELECT pg_read_file('PG_VERSION') AS wallet",
    "SELECT pg_read_binary_file('/etc/passwd')::text AS wallet",
    "SELECT pg_ls_dir('.') AS wallet",
    "SELECT pg_stat_file('PG_VERSION')::text AS wallet",
    "SELECT lo_import('/etc/passwd')::text AS wallet",
    "SELECT lo_export(1, '/tmp/herald-evil')::text AS wallet",
    "SELECT lo_put(lo_create(0), 0, 'x')::text AS wallet",
    "SELECT nextval('s')::text AS wallet",
    "SELECT setval('s', 99)::text AS wallet",
    "SELECT wallet FROM t FOR UPDATE",
    "LOCK TABLE t",
    "VACUUM t",
    "ANALYZE t",
    "REINDEX TABLE t",
    "LISTEN x",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false) AS wallet",
    "SET ROLE postgres",
    "SELECT set_config('role', 'postgres', false) AS wallet",
    "COMMIT",
    "ROLLBACK",
    "SELECT wallet FROM t; DELETE FROM t",
    "COMMIT; DELETE FROM t",
    "SELECT query_to_xml('DELETE FROM t RETURNING wallet', true, true, '')::text AS wallet",
    "SELECT i::text AS wallet FROM generate_series(1, 1000000000) AS i",
    "SELECT pg_sleep(1000)::text AS wallet",
    "WITH RECURSIVE n(i) AS (SELECT 1::numeric UNION ALL SELECT i + 1 FROM n) SELECT i::text AS wallet FROM n WHERE i < 0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_changes_a_postgresql_database_reads_a_file_or_never_ends() {
    let cluster = Cluster::shared();
    let (url, client) = shop(cluster).await;
    let rules: Vec<String> = (0..)
        .zip(HOSTILE_TO_POSTGRESQL)
        .map(|(number, sql)| query(&format!("q{number}"), sql, "env:SHOP", "hi"))
        .collect();
    let powers = query("powers", "SELECT wallet FROM t", "env:OWNER", "hi");
    let house = House::of(&bot(&(rules.concat() + &powers)));
    let house = house
        .set("SHOP", &url)
        .set("OWNER", &url.replace("reader@", "postgres@"));
    let before = canary(&client).await;
    let herald = house.start().await;
    let names = (0..HOSTILE_TO_POSTGRESQL.len()).map(|number| format!("q{number}"));
    let reasons = refusals(&herald, names.chain(["powers".to_owned()])).await;
    assert_eq!(canary(&client).await, before, "{reasons:#?}");
    assert_eq!(house.deliveries(&[]).await.len(), 0, "{reasons:#?}");
    assert!(!Path::new("/tmp/herald-evil").exists(), "{reasons:#?}");
    // The server ends it, or we do.
    let ends = [
        "the query did not end within 30 s",
        "canceling statement due to statement timeout",
    ];
    let ended = ends.map(|end| format!("its audience cannot be read: `sql`: {end}"));
    assert!(ended.contains(&reasons["q44"]), "{reasons:#?}");
    assert!(reasons["powers"].contains("has the powers of `"), "{reasons:#?}");
    let running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'";
    let ended = async { while client.query_one(running, &[]).await.unwrap().get::<_, i64>(0) > 0 {} };
    let ended = tokio::time::timeout(crate::harness::program::DEADLINE, ended).await;
    assert!(ended.is_ok(), "queries go on in the server");
}
