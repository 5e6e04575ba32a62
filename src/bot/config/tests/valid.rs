use std::path::PathBuf;
use std::time::Duration;

use super::super::{
    CallbackEvent, Consent, Finding, Identity, Limit, NodeAddress, PartContent, Profile, SecretReference,
};
use super::{bot_with, example, found, load_text, shown, valid};
use crate::bot::audience::Audience;
use crate::bot::config::load_all;
use crate::bot::expression::{Scope, Type, Value};
use crate::bot::project::{self, Project};
use crate::bot::trigger::webhook::{Scheme, Verify};
use crate::bot::trigger::{Trigger, Words};
use sha2::{Digest as _, Sha256};

#[test]
fn the_example_bots_load_and_miss_nothing_but_their_secrets() {
    let entries = std::fs::read_dir(example(""))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let bots: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .filter(|path| !path.ends_with(project::FILE))
        .collect();
    assert!(bots.len() >= 6, "{bots:?}");
    let project = Project::load(&example(project::FILE));
    let (project, warnings) = project.unwrap_or_else(|found| panic!("{}", shown(&found)));
    let is_secret = |warning: &Finding| warning.code.to_string() == "W301";
    assert!(warnings.iter().all(is_secret), "{}", shown(&warnings));
    for path in bots {
        let loaded = load_all(&project, std::slice::from_ref(&path)).remove(0);
        let (bot, warnings) = loaded.unwrap_or_else(|found| panic!("{}", shown(&found)));
        assert!(warnings.iter().all(is_secret), "{}", shown(&warnings));
        assert_eq!(bot.file, path);
        let digest: [u8; 32] = Sha256::digest(std::fs::read(&path).unwrap()).into();
        assert_eq!(bot.file_digest, digest);
        assert!(
            std::fs::read_to_string(&path).unwrap().starts_with("# "),
            "{} explains itself first",
            path.display()
        );
    }
}

/// Every key of the language, once.
pub(super) const EVERY_KEY: &str = "herald: 1
bot: every-key
about: 1.10
identity: { keystore: key, passphrase: file:key }
node: grpcs://node.example:5556
profile: { name: Every Key, image: https://example.org/icon.png, color: \"#6b5cff\" }
vars: { team: [0x1111111111111111111111111111111111111111], rate: 1.10, word: no, quoted: \"5\", deep: { n: 7 } }
defaults: { key: occurrence.id, ttl: 2h, limit: 5/day, consent: transactional, thread: news, callback: { url: http://127.0.0.1:8080, sign: file:key } }
lists:
  readers:
    join: [/read <hour:int=9>, /follow]
    leave: [enough]
    fields: { hour: { min: 0, max: 23 }, words: { type: list of word, default: [a, b] } }
    welcome: Hour {{ sub.hour }}.
    goodbye: [{ text: Bye. , if: sub.hour > 9 }]
rules:
  all-triggers:
    when:
      - { cron: 0 9 * * mon-fri, tz: Asia/Tokyo }
      - every: 90s
      - at: 2026-12-01T18:00:00+01:00
      - { at: 2026-12-01T18:00, tz: Europe/Berlin }
      - { webhook: a/b, verify: { scheme: standard-webhooks, secret: file:key, tolerance: 1m }, body: { n: int } }
      - message: Price | what now
      - message: any
      - joined: readers
      - started: true
      - manual: true
    if: vars.rate > 1
    let: { least: vars.deep.n + 1, own: to.hour + least }
    to: readers
    send: Hour {{ own }} {{ vars.quoted }}.
    about: All of them.
    paused: true
    key: [occurrence.id, vars.word]
    ttl: 10m
    limit: 1/30m
    consent: opted_in
    callback: { url: https://shop.example/hooks?a=b, events: [replied, delivered, replied], sign: file:key }
    thread: hours/{{ to.hour }}
  one-wallet: { when: { manual: true }, to: { wallet: 0x1111111111111111111111111111111111111111 }, send: hi }
  wallets: { when: { manual: true }, to: { wallets: vars.team }, send: { text: hi } }
  set:
    when: { manual: true }
    to:
      any:
        - { list: readers, where: sub.hour > 3, sample: 2 }
        - { csv: team.csv, column: wallet, where: row.tier == 1, except: readers }
        - { wallet: 0x1111111111111111111111111111111111111111 }
      except: { all: [readers, { wallets: vars.team }] }
      sample: 1000
    send: \"{{ to.tier }} {{ to.hour }}\"
  listed: { when: { manual: true }, to: { list: readers }, send: [{ text: a }, { text: b, if: to.name }] }
  everything:
    when: { message: more }
    to: { wallet: message.from }
    send:
      - text: a
      - { markdown: \"**a**\", if: sub }
      - reply: a
      - react: a
      - attach: key
      - attach: { file: \"{{ message.text }}.png\", name: a.png, mime: image/png }
      - tx: { chain: base, hash: message.text }
      - custom: { type: example.org/vote:1.2, parameters: { n: a }, content: a, fallback: a }
commands:
  /price <symbol:word>: { about: A price., if: sub, reply: \"{{ args.symbol }}\" }
";

#[test]
fn a_mnemonic_names_its_key_by_a_path_and_the_first_account_without_one() {
    let bot = |rest: &str| {
        valid(&format!(
            "herald: 1\nbot: ab\nidentity: {{ mnemonic: file:key{rest} }}\n"
        ))
    };
    for (rest, path) in [
        (", path: m/44'/60'/0'/0/3", "m/44'/60'/0'/0/3"),
        (", path: \"m/44'/60'/2'/0/0\"", "m/44'/60'/2'/0/0"),
        ("", "m/44'/60'/0'/0/0"),
    ] {
        let identity = bot(rest).identity;
        let Identity::Mnemonic { words, path: found } = &identity else {
            panic!("{identity:?}")
        };
        assert_eq!(
            (words.to_string(), found.to_string()),
            ("file:key".to_owned(), path.to_owned())
        );
    }
}

#[test]
fn a_callback_tells_what_it_names_or_everything_and_may_be_a_default() {
    let bot = valid(EVERY_KEY);
    let callback = bot.rules["all-triggers"].policy.callback.as_ref().unwrap();
    assert_eq!(callback.url, "https://shop.example/hooks?a=b");
    let named = [CallbackEvent::Delivered, CallbackEvent::Replied];
    assert!(callback.events.iter().eq(&named));
    assert_eq!(callback.sign.to_string(), "file:key");
    assert!(!format!("{bot:?}").contains("a=b"), "a URL may hold a token");
    let inherited = bot.rules["one-wallet"].policy.callback.as_ref().unwrap();
    assert_eq!(inherited.url, "http://127.0.0.1:8080");
    assert!(inherited.events.iter().eq(&CallbackEvent::ALL));
}

#[test]
fn words_for_events_of_callbacks_may_stand_for_others() {
    let bot = valid(
        "herald: 1
bot: shop
identity: file:key
rules:
  paid:
    when: { manual: true }
    to: { wallet: body.wallet }
    consent: transactional
    send: Paid!
    callback: { url: https://shop.example/told, events: [published, failed], sign: file:key }
",
    );
    let callback = bot.rules["paid"].policy.callback.as_ref().unwrap();
    let meant = [
        CallbackEvent::Delivered,
        CallbackEvent::Rejected,
        CallbackEvent::Expired,
    ];
    assert!(callback.events.iter().eq(&meant));
}

#[test]
fn every_key_of_a_file_arrives_in_the_bot() {
    let bot = valid(EVERY_KEY);
    assert_eq!(bot.name, "every-key");
    assert_eq!(bot.about.as_deref(), Some("1.10"));
    let passphrase: SecretReference = "file:key".parse().unwrap();
    assert_eq!(
        bot.identity,
        Identity::Keystore {
            path: "key".into(),
            passphrase
        }
    );
    assert_eq!(
        bot.node,
        NodeAddress::Remote {
            host: "node.example".into(),
            port: 5556,
            tls: true
        }
    );
    assert_eq!(
        bot.vars.to_json().to_string(),
        r#"{"deep":{"n":7},"quoted":"5","rate":"1.10","team":["0x1111111111111111111111111111111111111111"],"word":"no"}"#
    );
    let rule = &bot.rules["all-triggers"];
    assert_eq!(rule.about.as_deref(), Some("All of them."));
    assert!(rule.paused && rule.condition.is_some());
    let lets: Vec<_> = rule
        .lets
        .iter()
        .map(|own| (own.name.as_str(), own.expression.ty(), own.is_per_recipient()))
        .collect();
    assert_eq!(lets, [("least", &Type::Int, false), ("own", &Type::Int, true)]);
    assert_eq!(rule.policy.key.len(), 2);
    assert_eq!(rule.policy.ttl, Duration::from_mins(10));
    assert_eq!(
        rule.policy.limits.recipient,
        Some(Limit {
            count: 1,
            per: Duration::from_mins(30)
        })
    );
    assert_eq!(rule.policy.consent, Consent::OptedIn);
    let inherits = &bot.rules["one-wallet"].policy;
    assert_eq!(
        (inherits.key.len(), inherits.consent),
        (1, Consent::Transactional)
    );
    assert_eq!(inherits.ttl, Duration::from_hours(2));
    assert_eq!(
        inherits.limits.recipient,
        Some(Limit {
            count: 5,
            per: Duration::from_hours(24)
        })
    );
    assert!(matches!(bot.rules["one-wallet"].audience, Audience::Wallet(_)));
    assert!(matches!(&bot.rules["wallets"].audience, Audience::Wallets(wallets) if wallets.len() == 1));
    assert!(matches!(&bot.rules["listed"].audience, Audience::List { list, .. } if list == "readers"));
    assert!(bot.rules["listed"].parts[1].condition.is_some());
    let profile = Profile {
        name: Some("Every Key".to_owned()),
        image: Some("https://example.org/icon.png".to_owned()),
        color: Some("#6b5cff".to_owned()),
    };
    assert_eq!(bot.profile, profile);
    for (rule, uses_recipient) in [("all-triggers", true), ("listed", false)] {
        let thread = bot.rules[rule].thread.as_ref().unwrap();
        assert_eq!(thread.names().contains("to"), uses_recipient, "{rule}");
    }
    let everything = &bot.rules["everything"].parts;
    let keys: Vec<&str> = everything.iter().map(|part| part.content.key()).collect();
    assert_eq!(
        keys,
        [
            "text", "markdown", "reply", "react", "attach", "attach", "tx", "custom"
        ]
    );
    assert!(everything[1].condition.is_some());
    assert!(matches!(
        everything[6].content,
        PartContent::Transaction { chain: 8453, .. }
    ));
    let PartContent::Custom(custom) = &everything[7].content else {
        panic!("{everything:?}")
    };
    assert_eq!(
        (custom.ty.to_string().as_str(), custom.parameters.len()),
        ("example.org/vote:1.2", 1)
    );
    let [command] = bot.commands.as_slice() else {
        panic!("{:?}", bot.commands)
    };
    assert_eq!(command.declaration.text(), "/price <symbol:word>");
    assert!(command.about.is_some() && command.condition.is_some() && command.reply.len() == 1);
}

#[test]
fn every_kind_of_trigger_arrives_in_its_rule() {
    let bot = valid(EVERY_KEY);
    let rule = &bot.rules["all-triggers"];
    let [
        cron,
        every,
        at,
        local,
        webhook,
        words,
        any,
        joined,
        started,
        manual,
    ] = rule.triggers.as_slice()
    else {
        panic!("{:?}", rule.triggers)
    };
    assert!(matches!(cron, Trigger::Cron(schedule) if schedule.zone() == chrono_tz::Asia::Tokyo));
    assert!(matches!(every, Trigger::Every { span, jitter } if span.as_secs() == 90 && jitter.is_zero()));
    for instant in [at, local] {
        assert!(matches!(instant, Trigger::At(at) if at.to_rfc3339() == "2026-12-01T17:00:00+00:00"));
    }
    let Trigger::Webhook(webhook) = webhook else {
        panic!("{webhook:?}")
    };
    assert_eq!(webhook.path, "a/b");
    let minute = Scheme::StandardWebhooks {
        tolerance: Duration::from_mins(1),
    };
    assert!(matches!(&webhook.verify, Verify::Secret { scheme, .. } if *scheme == minute));
    assert!(matches!(&webhook.body, Some(Type::Record(body)) if body.get("n") == Some(&Type::Int)));
    assert!(matches!(words, Trigger::Message(Words::Of(words)) if words == &["price", "what now"]));
    assert!(matches!(any, Trigger::Message(Words::Any)));
    assert!(matches!(joined, Trigger::Joined(list) if list == "readers"));
    assert!(matches!((started, manual), (Trigger::Started, Trigger::Manual)));
}

#[test]
fn what_a_file_leaves_out_has_the_defaults_of_the_language() {
    let bot = valid(&bot_with(
        "rules: { a-rule: { when: { manual: true }, to: l1, send: hi } }\nlists: { l1: {} }",
    ));
    assert_eq!(bot.identity, Identity::File("key".into()));
    assert_eq!(bot.node, NodeAddress::BuiltIn);
    assert_eq!(bot.vars, Value::record::<String>([]));
    let rule = &bot.rules["a-rule"];
    assert_eq!(rule.policy.ttl, Duration::from_hours(24));
    assert_eq!(
        (
            rule.policy.consent,
            rule.policy.limits.recipient,
            rule.policy.key.len()
        ),
        (Consent::OptedIn, None, 0)
    );
    assert!(!rule.paused && rule.condition.is_none());
}

#[test]
fn fields_of_a_list_come_from_its_join_command_and_its_fields() {
    let bot = valid(&bot_with(
        "lists:
  guarded:
    join: /guard <warn_at:decimal=1.10> <tz:tz=UTC>
    fields: { warn_at: { min: 1.01, max: 2 }, note: text }
    welcome: Below {{ sub.warn_at }} in {{ sub.tz }}; {{ to.note or \"no note\" }} {{ list }}
",
    ));
    let list = &bot.lists["guarded"];
    let decimal = |text| Some(Type::Decimal.read_text(text).unwrap());
    let [warn_at, note] = list.fields.as_slice() else {
        panic!("{:?}", list.fields)
    };
    assert_eq!((warn_at.name.as_str(), &warn_at.ty), ("warn_at", &Type::Decimal));
    assert_eq!(
        (&warn_at.default, &warn_at.min, &warn_at.max),
        (&decimal("1.10"), &decimal("1.01"), &decimal("2"))
    );
    assert_eq!(
        (note.name.as_str(), &note.ty, &note.default),
        ("note", &Type::Text, &None)
    );
    assert!(
        list.join[0]
            .read("guard 3", &|_| Err("nobody".to_owned()))
            .unwrap()
            .is_err(),
        "the command has the bounds of the field"
    );
}

#[test]
fn a_name_that_only_some_triggers_give_may_be_none() {
    let rule = |part: &str| {
        bot_with(&format!(
            "lists: {{ l1: {{ join: /a <n:int> }} }}
rules:
  r1:
    when: [{{ message: any }}, {{ joined: l1 }}, {{ manual: true }}]
    to: {{ wallet: {part} }}
    send: \"{{{{ message.text }}}} {{{{ list }}}} {{{{ body.anything }}}} {{{{ to.n or 0 }}}}\"
"
        ))
    };
    let bot = valid(&rule("message.from or sub.wallet"));
    assert!(bot.rules["r1"].condition.is_none());
    assert_eq!(
        found(rule("list")),
        "8:19 E104 expected a wallet, found optional text"
    );
}

#[test]
fn aliases_stand_for_the_value_they_name() {
    let bot = valid(&bot_with(
        "lists: { l1: {}, l2: {} }
rules:
  first: { when: &tick { every: 1h }, to: l1, send: &text Hello. }
  second: { when: *tick, to: l2, send: *text }
",
    ));
    assert!(matches!(bot.rules["second"].triggers[0], Trigger::Every { span, .. } if span.as_secs() == 3600));
}

#[test]
fn a_block_template_renders_as_written() {
    let bot = valid(&bot_with(
        "lists: { l1: {} }\nrules:\n  r1:\n    when: { manual: true }\n    to: l1\n    send: |\n      One {{ body.x }}\n\n      two\n",
    ));
    let mut scope = Scope::new();
    scope.insert("body", Value::record([("x", Value::from("1.10"))]));
    let PartContent::Text(template) = &bot.rules["r1"].parts[0].content else {
        panic!("{bot:?}")
    };
    assert_eq!(template.render(&scope).unwrap(), "One 1.10\n\ntwo\n");
}

#[test]
fn a_secret_that_is_missing_a_plain_node_and_any_consent_are_warnings() {
    let text = "herald: 1
bot: warned
identity: env:HERALD_TEST_NEVER_SET
node: grpc://node.example:5556
lists: { l1: {} }
rules:
  r1: { when: { manual: true }, to: l1, send: hi, consent: any }
";
    let (_, warnings) = load_text(text).unwrap();
    assert_eq!(
        shown(&warnings),
        "3:11 W301 environment variable `HERALD_TEST_NEVER_SET` is not set; set `HERALD_TEST_NEVER_SET` before the bot runs
4:7 W303 `grpc://node.example:5556` is reached without encryption; write `grpcs://` where the node has TLS
7:60 W302 `consent: any` writes to people who did not ask for it; `opted_in` writes to members only"
    );
    for node in [
        "grpc://127.0.0.1:5556",
        "grpc://[::1]:5556",
        "grpc://localhost:5556",
        "local",
        "built-in",
    ] {
        assert_eq!(
            shown(&load_text(bot_with(&format!("node: '{node}'"))).unwrap().1),
            "",
            "{node}"
        );
    }
}
