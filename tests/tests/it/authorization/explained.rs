//! `meltemi authz check` says what the called sidecar does.

use serde_json::json;

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_explained_is_what_happens() {
    let world = World::start().await;
    let allow = json!([
        {"from": [{"source": {"serviceAccounts": ["client"]}}], "to": [{"operation": {"methods": ["GET"]}}]},
        {"to": [{"operation": {"paths": ["/open/{**}"]}}]},
    ]);
    let deny = json!([
        {"to": [{"operation": {"paths": ["/admin*"]}}],
         "when": [{"key": "request.headers[x-team]", "notValues": ["operations"]}]},
    ]);
    world.policies(&[("ALLOW", allow), ("DENY", deny)]).await;
    let mut connection = world.client.http().await;
    for (method, path, team, decided) in [
        ("GET", "/", "", "from[0].source.serviceAccounts"),
        ("PUT", "/", "", "no rule of its ALLOW policies matches"),
        ("PUT", "/open/a/b", "", "to[0].operation.paths [/open/{**}]: it is /open/a/b"),
        ("GET", "/admin/x", "", "by the DENY rule"),
        ("GET", "/admin/x", "operations", "it is operations"),
        ("GET", "/open/..//admin", "sales", "to[0].operation.paths [/admin*]: it is /admin"),
    ] {
        let headers = [("x-team", team)];
        let target = format!("http://web{path}");
        let response = connection.call(method, &target, &headers, b"").await;
        let header = format!("x-team: {team}");
        let mut line = vec!["authz", "check", "client", "web", "--method", method, "--path", path];
        if !team.is_empty() {
            line.extend(["--header", header.as_str()]);
        }
        let outcome = world.mesh.command(&line, "").await;
        let status = if outcome.code == Some(0) { 200 } else { 403 };
        assert_eq!(response.status, status, "{method} {path} {team}: {outcome}");
        assert!(outcome.stdout.contains(decided), "{method} {path} {team}: {outcome}");
    }
}
