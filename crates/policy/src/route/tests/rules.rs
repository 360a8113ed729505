use super::*;

/// A rule with every field.
const RULE: &str = r#"{
  "name": "reviews",
  "namespace": "bookinfo",
  "created": 1700000000,
  "hosts": ["reviews.bookinfo.svc.cluster.local", "*.example.com"],
  "exportTo": [".", "other"],
  "gateways": ["mesh", "bookinfo/gateway"],
  "http": [
    {
      "name": "all",
      "match": [
        {
          "name": "one",
          "uri": {"prefix": "/a"},
          "ignoreUriCase": true,
          "scheme": {"exact": "https"},
          "method": {"regex": "GET|HEAD"},
          "authority": {"prefix": "reviews"},
          "headers": {"end-user": "present"},
          "withoutHeaders": {"x-debug": {"exact": "1"}},
          "queryParams": {"q": {"exact": ""}},
          "port": 9080,
          "sourceLabels": {"app": "web"},
          "sourceNamespace": "bookinfo",
          "gateways": ["mesh"],
          "statPrefix": "one"
        },
        {"uri": {"pathPrefix": "/b"}},
        {"uri": {"exact": "/c"}},
        {"uri": {"regex": "/d.*"}}
      ],
      "action": {
        "route": [
          {
            "destination": {"host": "reviews.bookinfo.svc.cluster.local", "subset": "v1", "port": 9080},
            "weight": 90,
            "headers": {
              "request": {"set": [{"name": "x", "value": "y"}]},
              "response": {"remove": ["z"]}
            }
          },
          {"destination": {"host": "other"}, "weight": 10}
        ]
      },
      "rewrite": {
        "uri": {"regex": {"pattern": "/a/(.*)", "rewrite": "/\\1"}},
        "authority": "elsewhere"
      },
      "timeoutMs": 1500,
      "retries": {
        "attempts": 3,
        "perTryTimeoutMs": 500,
        "retryOn": "5xx,429",
        "retryRemoteLocalities": true,
        "retryIgnorePreviousHosts": false,
        "backoffMs": 50
      },
      "fault": {
        "delay": {"fixedDelayMs": 100, "percentage": 500000},
        "abort": {"with": {"grpcStatus": 14}, "percentage": 1000}
      },
      "mirrors": [
        {"destination": {"host": "copy"}},
        {"destination": {"host": "copy"}, "percentage": 10}
      ],
      "corsPolicy": {
        "allowOrigins": [{"exact": "*"}],
        "allowMethods": ["GET"],
        "allowHeaders": ["x"],
        "exposeHeaders": ["y"],
        "maxAgeS": 60,
        "allowCredentials": true,
        "unmatchedPreflights": "ignore"
      },
      "headers": {"request": {"add": [{"name": "a", "value": "b"}]}}
    },
    {
      "action": {
        "redirect": {
          "uri": {"full": "/x"},
          "authority": "x",
          "port": {"number": 8443},
          "scheme": "https",
          "code": 308
        }
      }
    },
    {"action": {"redirect": {"uri": {"prefix": "/x"}, "port": "fromRequestPort", "code": 301}}},
    {"action": {"directResponse": {"status": 503, "body": {"string": "closed"}}}},
    {"action": {"directResponse": {"status": 200, "body": {"bytes": [255, 0]}}}}
  ],
  "tls": [
    {
      "match": [
        {
          "sniHosts": ["*.example.com"],
          "destinationSubnets": ["10.0.0.0/8"],
          "port": 443,
          "sourceLabels": {"app": "web"},
          "sourceNamespace": "bookinfo",
          "gateways": ["mesh"]
        }
      ],
      "route": [{"destination": {"host": "a"}, "weight": 1}]
    }
  ],
  "tcp": [
    {
      "match": [
        {
          "destinationSubnets": ["10.0.0.0/8"],
          "port": 27017,
          "sourceLabels": {"app": "web"},
          "sourceNamespace": "bookinfo",
          "gateways": ["mesh"]
        }
      ],
      "route": [{"destination": {"host": "b"}}]
    }
  ]
}"#;

#[test]
fn rules_travel_as_they_are() {
    let rule: VirtualService = serde_json::from_str(RULE).unwrap();
    let expected: serde_json::Value = serde_json::from_str(RULE).unwrap();
    assert_eq!(serde_json::to_value(&rule).unwrap(), expected);
    assert!(Table::compile("x.example.com", &[Arc::new(rule)], &SIDECAR).unwrap().is_none());
}

#[test]
fn what_is_not_said_is_not_sent() {
    let rule = service(vec![route("it", vec![])]);
    let text = serde_json::to_string(&rule).unwrap();
    let expected = concat!(
        r#"{"name":"reviews","namespace":"default","hosts":["reviews"],"http":[{"name":"it","#,
        r#""action":{"route":[{"destination":{"host":"it"}}]}}]}"#
    );
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<VirtualService>(&text).unwrap(), rule);
}

#[test]
fn unknown_fields_are_refused() {
    for text in [
        r#"{"name": "x", "hots": []}"#,
        r#"{"http": [{"action": {"route": []}, "timeout": 1}]}"#,
        r#"{"http": [{"action": {"forward": []}}]}"#,
        r#"{"http": [{"name": "without action"}]}"#,
    ] {
        assert!(serde_json::from_str::<VirtualService>(text).is_err(), "{text}");
    }
}
