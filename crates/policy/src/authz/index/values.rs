//! Rules by the exact values that they demand of requests.

use std::collections::HashMap;

use super::super::attribute::Attribute;
use super::super::input::Request;
use super::super::test::View;
use super::push;

/// Candidates by values, attribute by attribute.
#[derive(Debug, Default)]
pub(super) struct Values {
    attributes: Vec<OfAttribute>,
}

#[derive(Debug)]
struct OfAttribute {
    attribute: Attribute,
    /// Rule numbers, ascending. The values of hosts are in lower case.
    lists: HashMap<Box<[u8]>, Vec<u32>>,
}

impl Values {
    /// Takes a rule in; numbers ascend.
    pub(super) fn push(&mut self, number: u32, attribute: Attribute, values: Vec<Vec<u8>>) {
        let place = self.attributes.iter().position(|it| it.attribute == attribute);
        let place = place.unwrap_or_else(|| {
            self.attributes.push(OfAttribute { attribute, lists: HashMap::new() });
            self.attributes.len() - 1
        });
        for value in values {
            push(self.attributes[place].lists.entry(value.into()).or_default(), number);
        }
    }

    /// Shows the candidates for a request, list by list. `generous`: whether what says the same in another way counts too.
    pub(super) fn each<R: Request>(
        &self,
        view: &View<'_, R>,
        request: &R,
        generous: bool,
        mut show: impl FnMut(&[u32]),
    ) {
        for OfAttribute { attribute, lists } in &self.attributes {
            each_text(attribute, view, request, generous, &mut |text| {
                if let Some(list) = lists.get(text) {
                    show(list);
                }
            });
        }
    }
}

/// Shows the texts of a request that a value may be equal to: at least those that [`Test`](super::super::test::Test)
/// compares with it.
fn each_text<R: Request>(
    attribute: &Attribute,
    view: &View<'_, R>,
    request: &R,
    generous: bool,
    show: &mut dyn FnMut(&[u8]),
) {
    let Some(token) = request.token() else {
        return each_without_token(attribute, view, request, generous, show);
    };
    match attribute {
        Attribute::RequestPrincipal => {
            token.principal().into_iter().for_each(|it| show(it.as_bytes()));
        }
        Attribute::Audience => token.each_audience(&mut |it| show(it.as_bytes())),
        Attribute::Presenter => {
            token.presenter().into_iter().for_each(|it| show(it.as_bytes()));
        }
        Attribute::Claim(path) => token.each_claim(path, &mut |it| show(it.as_bytes())),
        _ => each_without_token(attribute, view, request, generous, show),
    }
}

fn each_without_token<R: Request>(
    attribute: &Attribute,
    view: &View<'_, R>,
    request: &R,
    generous: bool,
    show: &mut dyn FnMut(&[u8]),
) {
    match attribute {
        Attribute::Method => show(request.method()),
        Attribute::Host if generous => {
            view.hosts(request.authority()).into_iter().for_each(|host| show_folded(host, show));
        }
        Attribute::Host => show_folded(request.authority(), show),
        Attribute::Header(name) => {
            let mut values = request.headers(name);
            let Some(first) = values.next() else { return };
            let Some(second) = values.next() else { return show(first) };
            let all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
            show(&all.join(&b","[..]));
            if generous {
                all.into_iter().for_each(show);
            }
        }
        _ => {}
    }
}

fn show_folded(text: &[u8], show: &mut dyn FnMut(&[u8])) {
    match text.iter().any(u8::is_ascii_uppercase) {
        true => show(&text.to_ascii_lowercase()),
        false => show(text),
    }
}
