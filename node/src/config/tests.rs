use std::{ffi::OsString, fmt::Write as _};

use super::{problem::Origin, *};

fn parse(text: &str) -> Result<Config, Problem> {
    load(text, &[])
}

/// A file `node.yaml` with this text, and these variables.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problem> {
    let origin = Origin::File(Path::new("node.yaml").into());
    Config::resolve(Node::parse(text, &origin, "")?, &environment(variables))
}

fn environment(variables: &[(&str, &str)]) -> Overrides {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Overrides::from_variables(variables).unwrap()
}

#[track_caller]
fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[track_caller]
fn refused_variables(variables: &[(&str, &str)]) -> String {
    load("", variables).unwrap_err().to_string()
}

#[test]
fn the_commented_file_says_the_defaults_and_every_key() {
    let text = include_str!("../../../config/node.yaml");
    assert_eq!(parse(text).unwrap(), Config::default());
    let keys: Vec<String> = format!("{:#?}", Config::default())
        .lines()
        .filter_map(|line| line.trim().split_once(": ").map(|(key, _)| format!("{key}:")))
        .collect();
    for key in keys {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(&key)),
            "{key} is missing"
        );
    }
}

#[test]
fn doors_are_closed_by_a_word_and_opened_by_another() {
    let closed = parse("access: { register: allowed, publish: allowed }\n").unwrap();
    assert_eq!(
        [closed.access.register, closed.access.publish],
        [Admit::Allowed; 2]
    );
    let open = [("HERALD_NODE_ACCESS__REGISTER", "open")];
    let open = load("access: { register: allowed }\n", &open).unwrap();
    assert_eq!(open, Config::default());
}

#[test]
fn an_empty_file_and_empty_maps_mean_the_defaults() {
    for text in ["", "# nothing\n", "auth:\n", "auth: ~\n", "---\nauth: {}\n"] {
        assert_eq!(parse(text).unwrap(), Config::default(), "{text}");
    }
}

#[test]
fn a_problem_says_where_what_was_found_and_what_was_wanted() {
    for (text, said) in [
        (
            "htp: 127.0.0.1:1\n",
            "node.yaml:1:1: htp: unknown key `htp`\nhint: did you mean `http`?",
        ),
        (
            "auth:\n  max_agee: 5m\n",
            "node.yaml:2:3: auth.max_agee: unknown key `max_agee`\nhint: did you mean `auth.max_age`?",
        ),
        (
            "auth_max_age: 5m\n",
            "node.yaml:1:1: auth_max_age: unknown key `auth_max_age`\nhint: did you mean `auth.max_age`?",
        ),
        (
            "auth: { zebra: 1 }\n",
            "node.yaml:1:9: auth.zebra: unknown key `zebra`\nhint: known keys here are `max_age`, `max_future`, `require_token_for_query`",
        ),
        (
            "\nauth:\n  max_age: soon\n",
            "node.yaml:3:12: auth.max_age: found `soon`, wanted a duration like `500ms`, `30s`, `5m`, `1h` or `7d`",
        ),
        (
            "max_request: 8MB\n",
            "node.yaml:1:14: max_request: found `8MB`, wanted a size like `512KiB` or `8MiB`",
        ),
        (
            "access: { register: closed }\n",
            "node.yaml:1:21: access.register: found `closed`, wanted one of `open`, `allowed`",
        ),
        (
            "auth: { require_token_for_query: 1 }\n",
            "node.yaml:1:34: auth.require_token_for_query: found `1`, wanted `true` or `false`",
        ),
        ("http: [a]\n", "node.yaml:1:7: http: found a list, wanted a text"),
        ("http:\n", "node.yaml:1:5: http: found nothing, wanted a text"),
        (
            "auth: soon\n",
            "node.yaml:1:7: auth: found `soon`, wanted a map of keys",
        ),
        (
            "drain: 1s\ndrain: 2s\n",
            "node.yaml:2:1: drain: the key stands twice",
        ),
        ("- a\n", "node.yaml:1:1: found a list, wanted a map of keys"),
    ] {
        assert_eq!(refused(text), said, "{text}");
    }
    let said = refused("drain: 'a\n");
    assert!(
        said.starts_with("node.yaml:") && said.contains("not YAML: "),
        "{said}"
    );
}

#[test]
fn values_out_of_bounds_are_refused_where_they_stand() {
    for (text, said) in [
        (
            "drain: 0s\n",
            "node.yaml:1:8: drain: found `0`, wanted `100ms` to `1h`",
        ),
        (
            "stall: 99999999h\n",
            "node.yaml:1:8: stall: found `99999999h`, wanted `1s` to `1h`",
        ),
        (
            "heartbeat: 61m\n",
            "node.yaml:1:12: heartbeat: found `61m`, wanted `1s` to `1h`",
        ),
        (
            "max_request: 1MiB\nauth: {max_age: 721h}\n",
            "node.yaml:2:17: auth.max_age: found `721h`, wanted `1s` to `30d`",
        ),
        (
            "max_request: 0B\n",
            "node.yaml:1:14: max_request: found `0`, wanted `64KiB` to `64MiB`",
        ),
        (
            "max_request: 65MiB\n",
            "node.yaml:1:14: max_request: found `65MiB`, wanted `64KiB` to `64MiB`",
        ),
        (
            "http: 127.0.0.1\n",
            "node.yaml:1:7: http: found `127.0.0.1`, wanted `host:port` like `127.0.0.1:5555` or `[::1]:5555`",
        ),
        (
            "grpc: ::1:5556\n",
            "node.yaml:1:7: grpc: found `::1:5556`, wanted `host:port` like `127.0.0.1:5555` or `[::1]:5555`",
        ),
        (
            "grpc: localhost:65536\n",
            "node.yaml:1:7: grpc: found `localhost:65536`, wanted `host:port` like `127.0.0.1:5555` or `[::1]:5555`",
        ),
        // The other of the two has its default.
        (
            "http: 0.0.0.0:5556\n",
            "node.yaml:1:7: http: found `127.0.0.1:5556` for both `http` and `grpc`, wanted a port for each",
        ),
        (
            "http: a:1\nmetrics: a:1\n",
            "node.yaml:2:10: metrics: found `a:1` for both `http` and `metrics`, wanted a port for each",
        ),
    ] {
        assert_eq!(refused(text), said, "{text}");
    }
    let free = parse("http: a:0\ngrpc: a:0\nmetrics: '[::1]:0'\n").unwrap();
    assert_eq!(free.metrics, "[::1]:0");
    parse("http: 10.0.0.1:1\ngrpc: 10.0.0.2:1\n").unwrap();
}

#[test]
fn a_file_that_multiplies_nests_or_repeats_itself_is_refused_before_it_costs_anything() {
    let mut laughs = "a: &a [x, x]\n".to_owned();
    for (name, of) in ["b", "c", "d"].iter().zip(["a", "b", "c"]) {
        writeln!(laughs, "{name}: &{name} [*{of}, *{of}]").unwrap();
    }
    let deep = "[".repeat(100_000);
    let keys: String = (0..5_000).fold(String::new(), |text, key| text + &format!("k{key}: 1\n"));
    for (text, said) in [
        (
            laughs.as_str(),
            "node.yaml:1:4: a: found an anchor or alias, wanted the value itself",
        ),
        ("<<: *a\n", "node.yaml:1:5: "),
        (
            "drain: !!str 1s\n",
            "node.yaml:1:8: drain: found a tag, wanted the value alone",
        ),
        (
            "--- {}\n--- {}\n",
            "node.yaml:2:1: found a second document, wanted one",
        ),
        (keys.as_str(), "node.yaml:4096:"),
        (
            &" ".repeat(257 * 1024),
            "node.yaml:1:1: found more than 256 KiB, wanted less",
        ),
        (
            "? [a]\n: b\n",
            "node.yaml:1:3: found something else, wanted a key",
        ),
    ] {
        let found = refused(text);
        assert!(found.starts_with(said), "{found}");
    }
    let found = refused(&deep);
    assert!(
        found.contains("levels") || found.contains("recursion limit"),
        "{found}"
    );
}

#[test]
fn variables_override_the_file_and_flags_override_variables() {
    let file = "http: a:1\ngrpc: a:2\nauth: { max_age: 5m, max_future: 6m }\n";
    let variables = [
        ("HERALD_NODE_GRPC", "[::1]:5555"),
        ("HERALD_NODE_METRICS", "0.0.0.0:3"),
        ("HERALD_NODE_AUTH__MAX_AGE", "10m"),
        ("HERALD_NODELESS", "x"),
        ("HOME", "/"),
    ];
    let origin = Origin::File(Path::new("node.yaml").into());
    let tree = Node::parse(file, &origin, "").unwrap();
    let overrides = environment(&variables)
        .flag("--metrics", "metrics", Some("[::1]:4".to_owned()))
        .flag("--http", "http", None);
    let config = Config::resolve(tree, &overrides).unwrap();
    assert_eq!(
        [config.http, config.grpc, config.metrics],
        ["a:1", "[::1]:5555", "[::1]:4"]
    );
    assert_eq!(config.auth.max_age, Duration::from_mins(10));
    assert_eq!(config.auth.max_future, Duration::from_mins(6));
}

#[test]
fn a_whole_map_may_stand_in_one_variable_and_one_of_its_keys_in_another() {
    let variables = [
        ("HERALD_NODE_AUTH__MAX_AGE", "2m"),
        ("HERALD_NODE_AUTH", "{ max_age: 1m, max_future: 3m }"),
    ];
    let config = load("", &variables).unwrap();
    assert_eq!(config.auth.max_age, Duration::from_mins(2));
    assert_eq!(config.auth.max_future, Duration::from_mins(3));
}

#[test]
fn a_problem_of_a_variable_or_flag_names_it() {
    for (name, value, said) in [
        (
            "HERALD_NODE_HTPP",
            "a:1",
            "HERALD_NODE_HTPP: htpp: unknown key `htpp`\nhint: did you mean `HERALD_NODE_HTTP`?",
        ),
        (
            "HERALD_NODE_AUTH_MAX_AGE",
            "1m",
            "HERALD_NODE_AUTH_MAX_AGE: auth_max_age: unknown key `auth_max_age`\nhint: did you mean `HERALD_NODE_AUTH__MAX_AGE`?",
        ),
        (
            "HERALD_NODE_AUTH__MAX_AGES",
            "1m",
            "HERALD_NODE_AUTH__MAX_AGES: auth.max_ages: unknown key `max_ages`\nhint: did you mean `HERALD_NODE_AUTH__MAX_AGE`?",
        ),
        (
            "HERALD_NODE_AUTH",
            "{ max_age: 721h }",
            "HERALD_NODE_AUTH: auth.max_age: found `721h`, wanted `1s` to `30d`",
        ),
        (
            "HERALD_NODE_HTTP__PORT",
            "1",
            "HERALD_NODE_HTTP__PORT: http: found a map, wanted a text",
        ),
        (
            "HERALD_NODE_DRAIN",
            "",
            "HERALD_NODE_DRAIN: drain: found nothing, wanted a text",
        ),
        (
            "HERALD_NODE_DRAIN",
            "1s\u{1b}[2J\nx",
            "HERALD_NODE_DRAIN: drain: found `1s\\u{1b}[2J\\nx`, wanted a duration like `500ms`, `30s`, `5m`, `1h` or `7d`",
        ),
    ] {
        assert_eq!(refused_variables(&[(name, value)]), said);
    }
    let flag = Overrides::default().flag("--http", "http", Some("5555".to_owned()));
    let said = Config::load(None, &flag).unwrap_err().to_string();
    assert!(
        said.starts_with("--http: http: found `5555`, wanted `host:port`"),
        "{said}"
    );
    let no_text: OsString = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
    let said = Overrides::from_variables([("HERALD_NODE_HTTP".into(), no_text)]).unwrap_err();
    assert!(
        said.to_string()
            .starts_with("HERALD_NODE_HTTP: found bytes that are no text")
    );
}

#[test]
fn every_type_of_setting_is_read_from_a_file_and_from_variables() {
    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        on: bool,
        port: u16,
        offset: i32,
        ratio: f64,
        names: Vec<String>,
        path: Option<PathBuf>,
        kind: Kind,
        text: String,
    }
    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Plain,
        Named(u8),
    }
    let read = |text: &str, variables: &[(&str, &str)]| {
        let origin = Origin::File(Path::new("s.yaml").into());
        let mut tree = Node::parse(text, &origin, "").unwrap();
        environment(variables).apply(&mut tree)?;
        Settings::deserialize(tree)
    };
    let file =
        "on: true\nport: 7\noffset: -1\nratio: 0.5\nnames: [a, '']\npath: /x\nkind: plain\ntext: 1.10\n";
    let from_file = read(file, &[]).unwrap();
    let variables = [
        ("HERALD_NODE_ON", "true"),
        ("HERALD_NODE_PORT", "7"),
        ("HERALD_NODE_OFFSET", "-1"),
        ("HERALD_NODE_RATIO", "0.5"),
        ("HERALD_NODE_NAMES", "[a, '']"),
        ("HERALD_NODE_PATH", "/x"),
        ("HERALD_NODE_KIND", "plain"),
        ("HERALD_NODE_TEXT", "1.10"),
    ];
    assert_eq!(read("", &variables).unwrap(), from_file);
    assert_eq!(from_file.names, ["a", ""]);
    assert_eq!(from_file.text, "1.10");
    assert_eq!(
        read("kind: { named: 3 }\npath:\n", &[]).unwrap().kind,
        Kind::Named(3)
    );
    for (text, said) in [
        ("on: yes", "s.yaml:1:5: on: found `yes`, wanted `true` or `false`"),
        (
            "port: 70000",
            "s.yaml:1:7: port: found integer `70000`, wanted u16",
        ),
        (
            "port: -1",
            "s.yaml:1:7: port: found `-1`, wanted a whole number, zero or more",
        ),
        (
            "names: a",
            "s.yaml:1:8: names: found `a`, wanted a list like `[one, two]`",
        ),
        (
            "names: [a, [b]]",
            "s.yaml:1:12: names[1]: found a list, wanted a text",
        ),
        (
            "kind: odd",
            "s.yaml:1:7: kind: found `odd`, wanted one of `plain`, `named`",
        ),
    ] {
        assert_eq!(read(text, &[]).unwrap_err().to_string(), said);
    }
}

#[test]
fn limits_say_what_they_want() {
    for (text, said) in [
        (
            "exempt: [home]",
            "limits.exempt: found `home`, wanted a network like `10.0.0.0/8`",
        ),
        ("publish: { burst: 0, per_minute: 1 }", "limits.publish.burst: "),
        (
            "publish: { burst: 1 }",
            "limits.publish: the key `per_minute` is missing",
        ),
        ("connections: 0", "limits.connections: "),
        ("idle: 0s", "limits.idle: found `0`, wanted `1s` to `1d`"),
    ] {
        let refused = refused(&format!("limits:\n  {text}\n"));
        assert!(refused.contains(said), "{refused}");
    }
    let certificate = "tls: { cert: a.pem }\n";
    assert!(refused(certificate).contains("the key `key` is missing"));
}

#[test]
fn networks_are_ranges_or_single_addresses() {
    let text = "limits:\n  trusted_proxies: [10.0.0.0/8, 192.0.2.1, \"2001:db8::/32\", \"2001:db8::1\"]\n";
    let proxies = parse(text).unwrap().limits.trusted_proxies;
    let proxies: Vec<String> = proxies.iter().map(ToString::to_string).collect();
    assert_eq!(
        proxies,
        ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "2001:db8::1/128"]
    );
}
