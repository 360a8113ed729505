use proptest::prelude::*;
use serde_json::{Value, json};

use super::write;
use crate::parse::value as read;

#[test]
fn it_looks_as_kubectl_prints_it() {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "empty": {}, "none": [], "nothing": null,
        "metadata": {"name": "x", "labels": {"version": "1.10", "on": "yes", "app.kubernetes.io/name": "a"}},
        "data": {"script": "#!/bin/sh\necho hello\n", "odd": " x", "two": "a\nb", "url": "http://a:80/x#y"},
        "list": [1, [2, "3"], {"a": 1, "b": [true]}, "- x", ""],
    });
    let expected = "\
apiVersion: v1
data:
  odd: \" x\"
  script: |
    #!/bin/sh
    echo hello
  two: |-
    a
    b
  url: http://a:80/x#y
empty: {}
kind: ConfigMap
list:
- 1
- - 2
  - \"3\"
- a: 1
  b:
  - true
- \"- x\"
- \"\"
metadata:
  labels:
    app.kubernetes.io/name: a
    \"on\": \"yes\"
    version: \"1.10\"
  name: x
none: []
nothing: null
";
    assert_eq!(write(&value), expected);
    assert_eq!(read(expected), Ok(value));
}

#[test]
fn hard_texts_are_read_back() {
    for text in [
        "",
        " ",
        "\n",
        "\n\n",
        "a\n",
        "a\n\n",
        "a\n\nb\n\n\n",
        " a\nb",
        "a \nb",
        "\ta\nb",
        "a\r\nb",
        "~",
        "null",
        "NULL",
        "true",
        "Off",
        "0x1f",
        "017",
        "1e3",
        ".5",
        "-1",
        "+1",
        "1_000",
        "12:30:45",
        "2001-01-01",
        ".inf",
        "<<",
        "---",
        "...",
        "--- a",
        "a: b",
        "a:",
        "a #b",
        "a#b",
        "#a",
        "[a",
        "{a",
        "a, b",
        "'a'",
        "\"a\"",
        "\\",
        "!a",
        "&a",
        "*a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "? a",
        "- a",
        "-",
        "-a",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{1f600}",
        "日本",
        "a\u{a0}",
        "=",
        "y",
    ] {
        for value in [json!(text), json!({ text: text }), json!([[text], { "a": text }])] {
            let written = write(&value);
            assert_eq!(read(&written), Ok(value), "{written:?}");
        }
    }
    let long = json!({"k".repeat(3000): {"a": 1}, "x": "\u{1}".repeat(2000)});
    assert_eq!(read(&write(&long)), Ok(long));
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[ -~\n]{0,12}", "[-+.0-9eExo_: ]{0,6}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f32>().prop_map(|it| json!(f64::from(it))),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let key = prop_oneof![any::<String>(), "[ -~]{0,8}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_value()) {
        let written = write(&value);
        prop_assert_eq!(read(&written), Ok(value), "{}", written);
    }
}
