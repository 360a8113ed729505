//! Fills the peers' configurations in: `{{name}}` is replaced, a line that names an endpoint stands once for each, and
//! what stands between the lines `{{#services}}` and `{{/services}}` once for each service.

use std::net::SocketAddr;

/// What stands for one endpoint: `{{endpoint}}` is its address, `{{endpoint_port}}` its port, `{{endpoint_number}}` its
/// place from 1.
const ENDPOINT: &str = "{{endpoint";

/// Where what is repeated for each service begins, and ends.
const SERVICES: (&str, &str) = ("{{#services}}", "{{/services}}");
/// A service's number, from 1.
const SERVICE: &str = "{{service}}";

/// Repeats what is there for each service.
pub fn repeat(template: &str, services: usize) -> String {
    let mut repeated = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once(SERVICES.0) {
        let (block, after) = after.split_once(SERVICES.1).unwrap_or((after, ""));
        // The words stand in lines of their own, whose indentation and end go with them.
        repeated.push_str(before.trim_end_matches(' '));
        let block = block.trim_start_matches('\n').trim_end_matches(' ');
        (1..=services).for_each(|it| repeated += &block.replace(SERVICE, &it.to_string()));
        rest = after.trim_start_matches('\n');
    }
    repeated + rest
}

/// Fills a configuration in.
///
/// # Errors
/// The name that has no value.
pub fn fill(
    template: &str,
    values: &[(&str, String)],
    endpoints: &[SocketAddr],
) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len());
    for line in template.lines() {
        if line.contains(ENDPOINT) {
            for (at, endpoint) in endpoints.iter().enumerate() {
                let own = line
                    .replace("{{endpoint}}", &endpoint.to_string())
                    .replace("{{endpoint_port}}", &endpoint.port().to_string())
                    .replace("{{endpoint_number}}", &(at + 1).to_string());
                filled.push_str(&own);
                filled.push('\n');
            }
        } else {
            filled.push_str(line);
            filled.push('\n');
        }
    }
    for (name, value) in values {
        filled = filled.replace(&format!("{{{{{name}}}}}"), value);
    }
    match filled.split_once("{{") {
        Some((_, rest)) => Err(rest.split("}}").next().unwrap_or_default().to_owned()),
        None => Ok(filled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_endpoint_lines_repeated() {
        let template = "listen {{listen}}; # {{listen}}\n server s{{endpoint_number}} {{endpoint}} {{dir}}\nend";
        let endpoints = ["127.0.0.1:1", "127.0.0.1:2"].map(|it| it.parse().unwrap());
        let values = [("listen", "127.0.0.1:9".to_owned()), ("dir", "/d".to_owned())];
        let filled = fill(template, &values, &endpoints).unwrap();
        assert_eq!(
            filled,
            "listen 127.0.0.1:9; # 127.0.0.1:9\n server s1 127.0.0.1:1 /d\n server s2 127.0.0.1:2 /d\nend\n"
        );
        assert_eq!(fill("{{endpoint_port}}", &[], &endpoints).unwrap(), "1\n2\n");
    }

    #[test]
    fn blocks_are_repeated_for_each_service() {
        let template = "a\n  {{#services}}\n  s{{service}}: {{endpoint}}\n  {{/services}}\nb\n{{#services}}\n{{service}}\n{{/services}}\n";
        let expected = "a\n  s1: {{endpoint}}\n  s2: {{endpoint}}\nb\n1\n2\n";
        assert_eq!(repeat(template, 2), expected);
        assert_eq!(repeat(template, 0), "a\nb\n");
        assert_eq!(repeat("plain {{x}}\n", 3), "plain {{x}}\n");
    }

    #[test]
    fn a_name_without_a_value_is_refused() {
        assert_eq!(fill("a {{lisen}} b", &[("listen", String::new())], &[]), Err("lisen".into()));
    }
}
