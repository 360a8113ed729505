//! Who bears a token, as authorization asks for it.

use super::authentication::Authenticated;
use crate::authz::Token;

impl Token for Authenticated<'_> {
    fn issuer(&self) -> &str {
        self.claims().issuer()
    }

    fn principal(&self) -> Option<&str> {
        self.claims().principal()
    }

    fn each_audience(&self, show: &mut dyn FnMut(&str)) {
        self.claims().audiences().iter().for_each(|it| show(it));
    }

    fn presenter(&self) -> Option<&str> {
        self.claims().presenter()
    }

    fn each_claim(&self, path: &[Box<str>], show: &mut dyn FnMut(&str)) {
        self.values(path.iter().map(|name| &**name)).for_each(show);
    }

    fn each_claim_name(&self, show: &mut dyn FnMut(&str)) -> bool {
        self.claims().each_name(show);
        true
    }
}
