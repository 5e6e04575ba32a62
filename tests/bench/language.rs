//! The language of bots: checking their files, and rendering what they say.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use herald::bot::{
    config,
    expression::{Names, Record, Scope, Template, Type, Value},
};
use minijinja::Environment;

use crate::{
    Error,
    figure::{self, Figure, Round, Target},
};

/// Milliseconds to check a hundred bots; the floor is 1.5 times the parsing of their YAML and 100 ms for the rest.
pub(crate) fn check(folder: &Path) -> Result<Figure, Error> {
    let mut files = Vec::with_capacity(BOTS);
    for number in 0..BOTS {
        let file = folder.join(format!("bot-{number}.yaml"));
        let text = EXAMPLES[number % EXAMPLES.len()];
        fs::write(&file, text.replace("\nbot: ", &format!("\nbot: n{number}-")))?;
        files.push(file);
    }
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..ROUNDS {
        let checked = || -> Result<f64, Error> {
            let started = Instant::now();
            for file in &files {
                let loaded = config::load(file);
                loaded.map_err(|found| found.iter().map(ToString::to_string).collect::<String>())?;
            }
            Ok(started.elapsed().as_secs_f64() * 1e3)
        };
        let parsed = || -> Result<f64, Error> {
            let started = Instant::now();
            for file in &files {
                let value: serde_yaml::Value = serde_yaml::from_str(&fs::read_to_string(file)?)?;
                std::hint::black_box(value);
            }
            Ok(started.elapsed().as_secs_f64() * 1e3 * 1.5 + 100.0)
        };
        let (subject, floor) = if number % 2 == 0 {
            let subject = checked()?;
            (subject, parsed()?)
        } else {
            let floor = parsed()?;
            (checked()?, floor)
        };
        rounds.push(Round { subject, floor });
    }
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(1.0)))
}

/// Microseconds of a message with a record, a condition and a list; the floor is the same template in a template engine that has
/// neither types nor bounds.
pub(crate) fn render(_folder: &Path) -> Result<Figure, Error> {
    let (mut to, mut item, mut names) = (Record::new(), Record::new(), Names::new());
    to.insert("name", Type::Text);
    to.insert("seats", Type::Int);
    item.insert("name", Type::Text);
    item.insert("count", Type::Int);
    names.insert("to", Type::Record(to));
    names.insert("items", Type::List(Box::new(Type::Record(item))));
    let template = Template::parse(TEMPLATE, &names).map_err(|found| format!("{found:?}"))?;
    let items = (0..5_i64).map(|number| {
        Value::record([
            ("name", Value::text(format!("Item {number}"))),
            ("count", Value::from(number)),
        ])
    });
    let mut scope = Scope::new();
    scope.insert("items", Value::list(items));
    let to = [("name", Value::text("Alice")), ("seats", Value::from(3_i64))];
    scope.insert("to", Value::record(to));

    let mut engine = Environment::new();
    engine.add_template("message", TEMPLATE)?;
    let bare = engine.get_template("message")?;
    let items: Vec<_> = (0..5_i64)
        .map(|number| {
            let name = minijinja::Value::from(format!("Item {number}"));
            BTreeMap::from([("name", name), ("count", number.into())])
        })
        .collect();
    let to = minijinja::context! { name => "Alice", seats => 3 };
    let values = minijinja::context! { to => to, items => items };
    if template.render(&scope)?.trim_end() != bare.render(&values)?.trim_end() {
        return Err("the two templates say different things".into());
    }
    let rounds = figure::time(
        BATCH,
        || Ok(template.render(&scope)?),
        || Ok(bare.render(&values)?),
    )?;
    Ok(Figure::of_rounds("µs", &rounds, Target::AtMost(3.0)))
}

/// The bots that come with herald.
const EXAMPLES: [&str; 5] = [
    include_str!("../../bots/hello.yaml"),
    include_str!("../../bots/orders.yaml"),
    include_str!("../../bots/letter.yaml"),
    include_str!("../../bots/tickets.yaml"),
    include_str!("../../bots/course.yaml"),
];
const TEMPLATE: &str = "Hello {{ to.name | upper }}, \
    {% if to.seats > 2 %}you have {{ to.seats }} seats{% else %}you have few seats{% endif %}: \
    {% for item in items %}{{ item.name }} ({{ item.count + 1 }}), {% endfor %}and that is all for now.";
const BOTS: usize = 100;
const ROUNDS: usize = 15;
const BATCH: u32 = 50;
