//! What a rule asks of requests, and connections of bytes have not.

use super::attribute::Attribute;
use super::compile::Field;
use super::rule::Rule;

/// The fields of a rule that ask for a request, as in `to[0].operation.methods`.
pub fn fields_of_requests(rule: &Rule) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |at: String, fields: &[Field<'_>]| {
        for field in fields.iter().filter(|it| it.attribute.is_of_request()) {
            let lists = [field.demanded, field.forbidden].into_iter();
            let there = lists.filter(|(_, list)| !list.is_empty());
            found.extend(there.map(|(name, _)| format!("{at}{name}")));
        }
    };
    for (index, source) in rule.from.iter().enumerate() {
        look(format!("from[{index}].source."), &source.fields());
    }
    for (index, operation) in rule.to.iter().enumerate() {
        look(format!("to[{index}].operation."), &operation.fields());
    }
    for (index, condition) in rule.when.iter().enumerate() {
        look(format!("when[{index}]."), &[condition.field()]);
    }
    found
}

/// Whether a rule is for a port of the workload, as far as its `ports` say.
pub fn is_for_port(rule: &Rule, port: u16) -> bool {
    let names = |list: &[String]| list.iter().any(|it| it.parse() == Ok(port));
    let by_operation =
        rule.to.iter().any(|it| (it.ports.is_empty() || names(&it.ports)) && !names(&it.not_ports));
    let by_condition = rule.when.iter().all(|it| {
        Attribute::of_key(&it.key) != Attribute::Port
            || ((it.values.is_empty() || names(&it.values)) && !names(&it.not_values))
    });
    (rule.to.is_empty() || by_operation) && by_condition
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(value: serde_json::Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn fields_that_ask_for_requests_are_named() {
        let asking = rule(json!({
            "from": [{"namespaces": ["a"]}, {"requestPrincipals": ["*"]}],
            "to": [{"ports": ["1"], "notPaths": ["/"], "methods": ["GET"]}],
            "when": [{"key": "source.ip", "values": ["1.2.3.4"]},
                     {"key": "request.headers[a]", "values": ["b"]}],
        }));
        assert_eq!(
            fields_of_requests(&asking),
            [
                "from[1].source.requestPrincipals",
                "to[0].operation.methods",
                "to[0].operation.notPaths",
                "when[1].values",
            ]
        );
        assert_eq!(fields_of_requests(&Rule::default()), [""; 0]);
    }

    #[test]
    fn ports_say_what_a_rule_is_for() {
        for (value, expected) in [
            (json!({}), true),
            (json!({"to": [{"ports": ["1"]}, {"ports": ["2"]}]}), true),
            (json!({"to": [{"ports": ["1"]}]}), false),
            (json!({"to": [{"notPorts": ["2"]}]}), false),
            (json!({"when": [{"key": "destination.port", "values": ["1"]}]}), false),
            (json!({"when": [{"key": "destination.port", "notValues": ["1"]}]}), true),
        ] {
            assert_eq!(is_for_port(&rule(value.clone()), 2), expected, "{value}");
        }
    }
}
