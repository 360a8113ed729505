//! What is answered here, and what is not: a question, a view of the mesh and a counter in, a verdict out; no I/O.

mod locate;
mod records;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};

use crate::error::Error;
use crate::message::Reply;
use crate::names::{Address, Answer, Names, Port, Resolution};
use locate::{Asked, Located, Selector};

/// How long answers may be kept, in seconds: as long as a client may go on with an endpoint that has gone.
pub(crate) const TTL: u32 = 5;

/// How many host names may stand between a name and its addresses.
const MAX_ALIASES: usize = 8;

/// The names below one suffix, and those outside of it that the mesh knows.
#[derive(Debug)]
pub(crate) struct Zone {
    /// `svc.cluster.local`: lower case, no trailing dot.
    suffix: String,
    apex: Name,
}

/// What is to be done with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is known here.
    Answer(Reply),
    /// The name is another's; the reply is these records and what other servers say of `target`.
    Follow {
        /// CNAME records from the name that was asked for to `target`.
        aliases: Vec<Record>,
        /// Whom to ask for.
        target: Name,
    },
    /// It is none of the mesh's names.
    Forward,
}

/// One question and all that its answer depends on.
pub(crate) struct Question<'a> {
    /// What was asked.
    pub(crate) query: &'a Query,
    /// The mesh.
    pub(crate) names: &'a dyn Names,
    /// The search domains of this machine, which may stand behind a name of the mesh.
    pub(crate) search: &'a [String],
    /// Which record comes first.
    pub(crate) rotation: usize,
}

impl Zone {
    /// A zone below the DNS suffix of the mesh, such as `svc.cluster.local`.
    pub(crate) fn new(suffix: &str) -> Result<Zone, Error> {
        let folded = suffix.trim_matches('.').to_ascii_lowercase();
        let is_name = meltemi_names::is_dns_subdomain(&folded);
        match Name::from_labels(folded.split('.').map(str::as_bytes)) {
            Ok(apex) if is_name => Ok(Zone { suffix: folded, apex }),
            _ => Err(Error::Suffix(suffix.into())),
        }
    }

    /// What is to be done with a question.
    pub(crate) fn answer(&self, question: &Question<'_>) -> Verdict {
        self.answer_within(question, MAX_ALIASES)
    }

    fn answer_within(&self, question: &Question<'_>, aliases_left: usize) -> Verdict {
        let name = question.query.name();
        if name.is_localhost() {
            return Verdict::Answer(records::localhost(question.query, self.soa(name)));
        }
        let Some(asked) = Asked::read(name) else { return self.unknown(name) };
        match self.locate(&asked, question) {
            Some(located) => self.answer_located(question, &asked, located, aliases_left),
            None => self.answer_unlocated(question, &asked),
        }
    }

    /// The reply for a name that the mesh has no service for.
    fn answer_unlocated(&self, question: &Question<'_>, asked: &Asked) -> Verdict {
        let name = question.query.name();
        if asked.selector != Selector::Service {
            return self.unknown(name);
        }
        if asked.host == self.suffix {
            let is_soa = matches!(question.query.query_type(), RecordType::SOA | RecordType::ANY);
            return match is_soa {
                true => positive(vec![self.soa(name)]),
                false => self.no_data(name),
            };
        }
        match self.below(&asked.host) {
            Some(namespace) if question.names.has_namespace(namespace) => self.no_data(name),
            _ => self.unknown(name),
        }
    }

    fn answer_located(
        &self,
        question: &Question<'_>,
        asked: &Asked,
        located: Located,
        aliases_left: usize,
    ) -> Verdict {
        let name = question.query.name();
        let service = &located.service;
        // A service of the mesh is answered under the name that was asked for, so that the answer is whole; an
        // outside name gets an alias to itself, since others will add to the answer.
        let (owner, aliases) = match service.external && located.is_stripped(asked) {
            true => {
                let owner = asked.without_suffix(name, &located);
                (owner.clone(), vec![records::alias(name, &owner)])
            }
            false => (name.clone(), Vec::new()),
        };
        let ports = asked.selector.ports(service);
        if ports.is_empty() && asked.selector != Selector::Service {
            return match service.external {
                true => self.elsewhere(aliases, &owner),
                false => self.no_such_name(name),
            };
        }
        let wanted = question.query.query_type();
        let wants_srv = match asked.selector {
            Selector::Service => wanted == RecordType::SRV && has_own_addresses(service),
            Selector::Transport(_) => false,
            Selector::Port(..) => matches!(wanted, RecordType::SRV | RecordType::ANY),
        };
        if wants_srv {
            self.answer_srv(question, &located, &ports, owner, aliases)
        } else if asked.selector == Selector::Service
            && (records::is_address(wanted) || is_alias(service))
        {
            self.answer_addresses(question, &located, owner, aliases, aliases_left)
        } else if service.external {
            self.elsewhere(aliases, &owner)
        } else {
            self.no_data(name)
        }
    }

    fn answer_srv(
        &self,
        question: &Question<'_>,
        located: &Located,
        ports: &[&Port],
        owner: Name,
        aliases: Vec<Record>,
    ) -> Verdict {
        let found = records::srv(&owner, located, ports, question.rotation);
        let service = &located.service;
        if found.answers.is_empty() && service.external && !has_own_addresses(service) {
            return self.elsewhere(aliases, &owner);
        }
        self.positive_or_no_data(question.query.name(), aliases, found.answers, found.additionals)
    }

    fn answer_addresses(
        &self,
        question: &Question<'_>,
        located: &Located,
        owner: Name,
        mut aliases: Vec<Record>,
        aliases_left: usize,
    ) -> Verdict {
        let service = &located.service;
        if has_own_addresses(service) {
            let wanted = question.query.query_type();
            let found = records::addresses(&owner, located, wanted, question.rotation);
            return self.positive_or_no_data(question.query.name(), aliases, found, Vec::new());
        }
        let host = records::rotated(&service.endpoints, question.rotation)
            .find_map(|endpoint| match &endpoint.address {
                Address::Host(host) => Some(host.as_str()),
                Address::Ip(_) => None,
            })
            .filter(|_| service.resolution == Resolution::Dns);
        match host.and_then(locate::to_name) {
            Some(target) if target != owner => {
                aliases.push(records::alias(&owner, &target));
                if question.query.query_type() == RecordType::CNAME {
                    return positive(aliases);
                }
                self.chase(question, aliases, target, aliases_left)
            }
            _ if service.external => self.elsewhere(aliases, &owner),
            _ => self.no_data(question.query.name()),
        }
    }

    /// Goes on with another name, which may be one of the mesh again.
    fn chase(
        &self,
        question: &Question<'_>,
        mut aliases: Vec<Record>,
        target: Name,
        aliases_left: usize,
    ) -> Verdict {
        let Some(aliases_left) = aliases_left.checked_sub(1) else {
            return Verdict::Answer(Reply::error(ResponseCode::ServFail));
        };
        let mut query = question.query.clone();
        query.set_name(target.clone());
        // A host in a resource is a full name.
        let next = Question { query: &query, search: &[], ..*question };
        match self.answer_within(&next, aliases_left) {
            Verdict::Answer(mut reply) => {
                aliases.append(&mut reply.answers);
                Verdict::Answer(Reply { answers: aliases, ..reply })
            }
            Verdict::Follow { aliases: mut more, target } => {
                aliases.append(&mut more);
                Verdict::Follow { aliases, target }
            }
            Verdict::Forward => Verdict::Follow { aliases, target },
        }
    }

    /// Others are asked for `owner`, unless it lies below the suffix: then nobody knows more than the mesh.
    fn elsewhere(&self, aliases: Vec<Record>, owner: &Name) -> Verdict {
        if self.apex.zone_of(owner) {
            return self.positive_or_no_data(owner, aliases, Vec::new(), Vec::new());
        }
        match aliases.is_empty() {
            true => Verdict::Forward,
            false => Verdict::Follow { aliases, target: owner.clone() },
        }
    }

    fn positive_or_no_data(
        &self,
        name: &Name,
        mut aliases: Vec<Record>,
        mut found: Vec<Record>,
        additionals: Vec<Record>,
    ) -> Verdict {
        let authorities = match found.is_empty() {
            true => vec![self.soa(name)],
            false => Vec::new(),
        };
        aliases.append(&mut found);
        Verdict::Answer(Reply {
            authoritative: true,
            answers: aliases,
            authorities,
            additionals,
            ..Reply::default()
        })
    }

    fn no_data(&self, name: &Name) -> Verdict {
        self.positive_or_no_data(name, Vec::new(), Vec::new(), Vec::new())
    }

    fn no_such_name(&self, name: &Name) -> Verdict {
        Verdict::Answer(Reply {
            code: ResponseCode::NXDomain,
            authoritative: true,
            authorities: vec![self.soa(name)],
            ..Reply::default()
        })
    }

    /// A name that the mesh does not know: below the suffix nobody does.
    fn unknown(&self, name: &Name) -> Verdict {
        match self.apex.zone_of(name) {
            true => self.no_such_name(name),
            false => Verdict::Forward,
        }
    }

    /// The SOA of the zone; for a short or outside name, which lies in no zone of ours, one of its own.
    fn soa(&self, name: &Name) -> Record {
        let owner = if self.apex.zone_of(name) { &self.apex } else { name };
        records::soa(owner, &self.apex)
    }

    /// What stands before the suffix.
    fn below<'a>(&self, host: &'a str) -> Option<&'a str> {
        host.strip_suffix(&self.suffix)?.strip_suffix('.')
    }
}

fn positive(answers: Vec<Record>) -> Verdict {
    Verdict::Answer(Reply { authoritative: true, answers, ..Reply::default() })
}

/// Whether a service of the mesh is another name for a host, which then has its records of every type.
fn is_alias(service: &Answer) -> bool {
    !service.external && !has_own_addresses(service)
}

/// Whether the registry alone decides which addresses the service has.
fn has_own_addresses(service: &Answer) -> bool {
    service.resolution == Resolution::Static
        || service.endpoints.iter().any(|endpoint| endpoint.ip().is_some())
}

#[cfg(test)]
pub(crate) mod tests;
