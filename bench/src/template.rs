//! Fills the peers' configurations in: `{{name}}` is replaced, and a line that names an endpoint stands once for each.

use std::net::SocketAddr;

/// What stands for one endpoint: `{{endpoint}}` is its address, `{{endpoint_port}}` its port, `{{endpoint_number}}` its
/// place from 1.
const ENDPOINT: &str = "{{endpoint";

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
    fn a_name_without_a_value_is_refused() {
        assert_eq!(fill("a {{lisen}} b", &[("listen", String::new())], &[]), Err("lisen".into()));
    }
}
