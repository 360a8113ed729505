//! Kubernetes' protobuf form of the core kinds and those of who may do what, read into JSON: typed clients, `kubectl create namespace` among them,
//! send it without asking whether it is understood. It is never answered.
//!
//! A body is the word `k8s` and a zero byte, then a `runtime.Unknown` that holds the object's type and its bytes. A
//! field that is set but not known here is refused, not dropped.

mod access;
mod fields;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use serde_json::{Map, Value, json};

use self::fields::{Field, Form, TYPE_META};

/// The content type of this form.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// Messages within messages; the kinds known here need five.
const DEPTH: usize = 8;
const DAMAGED: &str = "the protobuf message is damaged";

/// One field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads a body of this form.
pub(crate) fn read(body: &[u8]) -> Result<Value, String> {
    let mut envelope =
        body.strip_prefix(MAGIC).ok_or("the body does not begin as Kubernetes' protobuf does")?;
    let (mut types, mut raw) = (Value::Null, &[][..]);
    while !envelope.is_empty() {
        match field(&mut envelope).ok_or(DAMAGED)? {
            (1, Wire::Bytes(bytes)) => types = message(bytes, &TYPE_META, DEPTH)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (_, Wire::Bytes([])) => {}
            _ => {
                return Err(
                    "the body is encoded in a way that is not known here: send application/json"
                        .to_owned(),
                );
            }
        }
    }
    let text = |name: &str| types.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let fields = fields::fields_of(api_version, kind)
        .or_else(|| access::fields_of(api_version, kind))
        .ok_or_else(|| format!("{kind:?} is not read as protobuf here: send application/json"))?;
    let mut object = message(raw, fields, DEPTH)?;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    Ok(object)
}

/// Reads a message by the table of its fields.
fn message(mut bytes: &[u8], fields: &[Field], depth: usize) -> Result<Value, String> {
    let depth = depth.checked_sub(1).ok_or("the messages are nested too deeply")?;
    let mut object = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = field(&mut bytes).ok_or(DAMAGED)?;
        match fields.iter().find(|field| field.number == number) {
            Some(field) => read_field(&mut object, field, &wire, depth)?,
            // Go writes empty values of fields that nobody has set.
            None if matches!(wire, Wire::Number(0) | Wire::Bytes([])) => {}
            None => {
                return Err(format!("field {number} is not known here: send application/json"));
            }
        }
    }
    Ok(Value::Object(object))
}

fn read_field(
    object: &mut Map<String, Value>,
    field: &Field,
    wire: &Wire<'_>,
    depth: usize,
) -> Result<(), String> {
    let name = field.name;
    let wrong = || format!("{name:?} is of another type on the wire");
    let value = match (field.form, wire) {
        (Form::Ignored, _) => return Ok(()),
        (Form::Text | Form::Texts, Wire::Bytes(bytes)) => {
            json!(std::str::from_utf8(bytes).map_err(|_| wrong())?)
        }
        // Negative numbers are sign-extended to 64 bits; the cast takes them back.
        (Form::Number, Wire::Number(number)) => json!(*number as i64),
        (Form::Truth, Wire::Number(number)) => json!(*number != 0),
        (Form::Message(fields) | Form::Messages(fields), Wire::Bytes(bytes)) => {
            message(bytes, fields, depth)?
        }
        (Form::IntOrString(fields), Wire::Bytes(bytes)) => {
            int_or_string(&message(bytes, fields, depth)?)
        }
        (Form::TextMap | Form::BytesMap, Wire::Bytes(bytes)) => {
            let (key, value) = pair(bytes).ok_or_else(wrong)?;
            let value = match field.form {
                Form::TextMap => json!(std::str::from_utf8(value).map_err(|_| wrong())?),
                _ => json!(STANDARD.encode(value)),
            };
            let map = object.entry(name).or_insert_with(|| json!({}));
            map[key] = value;
            return Ok(());
        }
        _ => return Err(wrong()),
    };
    if matches!(field.form, Form::Texts | Form::Messages(_)) {
        if let Some(list) = object.entry(name).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value);
        }
    } else if !is_unset(&value) {
        object.insert(name.to_owned(), value);
    }
    Ok(())
}

/// Whether this is what Go writes for a field that nobody has set.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A number unless its type says that it is a string.
fn int_or_string(value: &Value) -> Value {
    match value.get("type").and_then(Value::as_u64) {
        Some(1) => value.get("strVal").cloned().unwrap_or(Value::Null),
        _ => value.get("intVal").cloned().unwrap_or(Value::Null),
    }
}

/// One entry of a map.
fn pair(mut bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (mut key, mut value) = ("", &[][..]);
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Wire::Bytes(bytes)) => key = std::str::from_utf8(bytes).ok()?,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => return None,
        }
    }
    Some((key, value))
}

/// Takes one field off the front.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = varint(bytes)?;
    let value = match tag & 7 {
        0 => Wire::Number(varint(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let (value, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Wire::Bytes(value)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field of bytes; test messages are short.
    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let types = [part(1, b"v1"), part(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), part(1, &types), part(2, raw), part(3, b""), part(4, b"")].concat()
    }

    #[test]
    fn known_kinds() {
        let label = part(11, &[part(1, b"team"), part(2, b"a")].concat());
        let metadata = [part(1, b"shop"), part(2, b""), label, part(8, b"")].concat();
        let namespace = [part(1, &metadata), part(2, b""), part(3, &part(1, b""))].concat();
        let expected = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}});
        assert_eq!(read(&body("Namespace", &namespace)), Ok(expected));

        let port = [part(1, b"http"), vec![3 << 3, 80], part(4, &[8, 0, 16, 0x90, 0x3f])].concat();
        let named =
            [vec![3 << 3, 81], part(4, &[&[8, 1][..], &part(3, b"main")].concat())].concat();
        let service = part(2, &[part(1, &port), part(1, &named)].concat());
        let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "main"}]);
        assert_eq!(read(&body("Service", &service)).unwrap()["spec"], json!({"ports": ports}));

        let secret =
            [part(2, &[part(1, b"a"), part(2, b"foob")].concat()), part(3, b"Opaque")].concat();
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "Zm9vYg=="}, "type": "Opaque"});
        assert_eq!(read(&body("Secret", &secret)), Ok(expected));
    }

    #[test]
    fn refused() {
        assert!(read(b"{}").is_err());
        assert!(read(&body("Pod", b"")).unwrap_err().contains("application/json"));
        assert!(read(&body("Namespace", &part(9, b"x"))).unwrap_err().contains("field 9"));
        assert!(read(&body("Namespace", &[10, 200])).is_err(), "the message ends too early");
        assert!(read(&body("Namespace", &[8, 1])).is_err(), "a number in place of a message");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for kind in ["Service", "Secret"] {
                let _ = read(&body(kind, &bytes));
            }
        }
    }
}
