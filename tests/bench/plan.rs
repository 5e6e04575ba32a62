//! Planning a rule for the rows of a CSV file: how fast, and in how much memory.
//!
//! Each plan is a process of its own, with its deliveries waiting for a node that is not there. It takes from the recorded
//! occurrence to the last row of the plan, with everything that reading the file left in the store cleared away.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use herald::{
    bot::{
        self, Runtime, Shared, Started, config,
        project::Project,
        store::{Gate, NewOccurrence, Store},
    },
    client::Cache,
};
use herald_protocol::address::Address;
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    figure::{self, Figure, Round, Target},
    node::runtime,
    people, process,
};

/// Rows a second of a million, beside reading, checksumming and inserting them into one bare table, as many in a transaction.
pub(crate) fn rate(folder: &Path) -> Result<Figure, Error> {
    let mut rounds = Vec::with_capacity(RATE_ROUNDS);
    for number in 0..RATE_ROUNDS {
        let place = Place::new(folder, &format!("rate-{number}"), MANY)?;
        let (subject, floor) = if number % 2 == 0 {
            let subject = place.plan()?.took;
            (subject, place.insert()?)
        } else {
            let floor = place.insert()?;
            (place.plan()?.took, floor)
        };
        rounds.push(Round {
            subject: figure::rate(MANY, subject),
            floor: figure::rate(MANY, floor),
        });
        place.remove()?;
    }
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.5)))
}

/// MiB at the most while a million rows are planned; in the floor's place the same for ten thousand.
pub(crate) fn memory(folder: &Path) -> Result<Figure, Error> {
    let mut rounds = Vec::with_capacity(MEMORY_ROUNDS);
    for number in 0..MEMORY_ROUNDS {
        let peak = |name: &str, rows: u32| -> Result<f64, Error> {
            let place = Place::new(folder, &format!("{name}-{number}"), rows)?;
            let planned = place.plan()?;
            place.remove()?;
            Ok(f64::from(planned.peak_kib) / 1024.0)
        };
        rounds.push(Round {
            subject: peak("many", MANY)?,
            floor: peak("few", FEW)?,
        });
    }
    Ok(Figure::of_rounds("MiB", &rounds, Target::AtMost(1.2)))
}

/// A folder with a bot and its file of recipients.
struct Place {
    folder: PathBuf,
    rows: u32,
}

/// What planning took.
struct Planned {
    took: Duration,
    peak_kib: u32,
}

impl Place {
    fn new(parent: &Path, name: &str, rows: u32) -> Result<Self, Error> {
        let folder = parent.join(name);
        fs::create_dir_all(folder.join("data"))?;
        fs::write(folder.join("bot.yaml"), BOT)?;
        let mut file = BufWriter::new(File::create(folder.join("team.csv"))?);
        writeln!(file, "wallet,name,seats")?;
        for number in 0..rows {
            writeln!(file, "{},Person {number},{}", wallet(number)?, number % 9)?;
        }
        file.flush()?;
        Ok(Self { folder, rows })
    }

    /// Plans in a process of its own.
    fn plan(&self) -> Result<Planned, Error> {
        let folder = self.folder.to_str().ok_or("a path is text")?;
        let mut part = process::Part::start(&["plan", folder])?;
        let line = part.line()?;
        let told: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        match told.as_slice() {
            [micros, kib, rows] if *rows == u64::from(self.rows) => Ok(Planned {
                took: Duration::from_micros(*micros),
                peak_kib: u32::try_from(*kib)?,
            }),
            _ => Err(format!("a plan gave `{line}`").into()),
        }
    }

    /// The floor: the unique rows of the plan, in the order of the file.
    fn insert(&self) -> Result<Duration, Error> {
        let mut connection = Connection::open(self.folder.join("bare.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLE)?;
        let started = Instant::now();
        let mut lines = BufReader::new(File::open(self.folder.join("team.csv"))?)
            .lines()
            .skip(1);
        let mut count: u32 = 0;
        loop {
            let transaction = connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT)?;
            let mut inserted = 0;
            for line in lines.by_ref().take(CHUNK) {
                let line = line?;
                let mut cells = line.split(',');
                let wallet: Address = cells.next().ok_or("no wallet")?.parse()?;
                let mut vars = "{\"name\":\"".to_owned();
                write!(
                    vars,
                    "{}\",\"seats\":\"{}\"}}",
                    cells.next().unwrap_or_default(),
                    cells.next().unwrap_or_default()
                )?;
                insert.execute(params![
                    "crier",
                    "cry",
                    "key",
                    wallet.to_string(),
                    0,
                    1,
                    vars,
                    1,
                    2
                ])?;
                inserted += 1;
            }
            drop(insert);
            transaction.commit()?;
            count += inserted;
            if inserted == 0 {
                break;
            }
        }
        if count != self.rows {
            return Err(format!("inserted {count} rows").into());
        }
        Ok(started.elapsed())
    }

    fn remove(self) -> Result<(), Error> {
        Ok(fs::remove_dir_all(self.folder)?)
    }
}

/// A wallet in no order.
fn wallet(number: u32) -> Result<Address, Error> {
    let digest = Sha256::digest(number.to_be_bytes());
    let (bytes, _) = digest.split_first_chunk().ok_or("a digest has 32 bytes")?;
    Ok(Address::from_bytes(*bytes))
}

/// The process that plans: says microseconds, KiB at the most, and how many rows there are.
pub(crate) fn role(folder: &Path) -> Result<(), Error> {
    let loaded = config::load(&folder.join("bot.yaml"));
    let (bot, _) = loaded.map_err(|found| found.iter().map(ToString::to_string).collect::<String>())?;
    let store = Store::open(&folder.join("data").join("herald.db"))?;
    let (took, rows) = runtime("plan")?.block_on(planned(bot, store, folder))?;
    let (micros, peak) = (took.as_micros(), process::peak_kib()?);
    Ok(writeln!(io::stdout(), "{micros} {peak} {rows}")?)
}

async fn planned(bot: config::Bot, store: Store, folder: &Path) -> Result<(Duration, i64), Error> {
    let started = Instant::now();
    let occurrence = NewOccurrence {
        bot: bot.name.clone(),
        rule: "cry".to_owned(),
        id: "one".to_owned(),
        key: "key".to_owned(),
        at: bot::to_utc(herald::clock::now()),
        names: "{}".to_owned(),
        gate: Gate::Open,
        skipped: None,
        answer: None,
        zone: None,
    };
    store.record(occurrence).await?;
    let (sender, mut events) = bot::events();
    let cache = Cache::open(&folder.join("data").join("client.db"))?;
    let shared = Shared::of(
        Project::default(),
        (store.clone(), cache),
        herald::clock::now.into(),
        sender,
    )?;
    let launch = people::launch(bot, 1, people::nowhere())?;
    let shutdown = CancellationToken::new();
    let _running = Runtime::start(vec![launch], &shared, Started::OnCall, &shutdown);
    loop {
        let is_planned = store.read(|connection| {
            let query = "SELECT state = 'planned' AND runs = 0 FROM occurrence";
            connection.query_row(query, [], |row| row.get::<_, bool>(0))
        });
        if is_planned.await? {
            break;
        }
        tokio::select! {
            _ = events.recv() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let took = started.elapsed();
    let count = store.read(|connection| {
        connection.query_row("SELECT count(*) FROM delivery", [], |row| row.get::<_, i64>(0))
    });
    Ok((took, count.await?))
}

const BOT: &str = "herald: 1
bot: crier
identity: env:CRIER_KEY
rules:
  cry:
    when: { manual: true }
    to: { csv: team.csv }
    consent: transactional
    send: \"{{ to.name }}: {{ to.seats }}\"
";
/// The columns of a planned row, and the key that keeps each wallet to one.
const TABLE: &str = "CREATE TABLE row (
    id INTEGER PRIMARY KEY, bot TEXT NOT NULL, rule TEXT NOT NULL, key TEXT NOT NULL, wallet TEXT NOT NULL,
    part INTEGER NOT NULL, occurrence INTEGER, vars TEXT, due_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    UNIQUE (bot, rule, key, wallet, part)
) STRICT";
const INSERT: &str = "INSERT INTO row (bot, rule, key, wallet, part, occurrence, vars, due_ms, expires_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
const MANY: u32 = 1_000_000;
const FEW: u32 = 10_000;
/// Rows in a transaction, as herald plans them.
const CHUNK: usize = 1_024;
const RATE_ROUNDS: usize = 3;
const MEMORY_ROUNDS: usize = 3;
/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(20);
