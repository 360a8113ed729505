//! What is asked for, field by field.

use super::attribute::Attribute;
use super::compile::Field;
use super::rule::Operation;

impl Operation {
    /// Its fields with what they look at.
    pub(super) fn fields(&self) -> [Field<'_>; 4] {
        [
            Field {
                attribute: Attribute::Port,
                demanded: ("ports", &self.ports),
                forbidden: ("notPorts", &self.not_ports),
            },
            Field {
                attribute: Attribute::Method,
                demanded: ("methods", &self.methods),
                forbidden: ("notMethods", &self.not_methods),
            },
            Field {
                attribute: Attribute::Host,
                demanded: ("hosts", &self.hosts),
                forbidden: ("notHosts", &self.not_hosts),
            },
            Field {
                attribute: Attribute::Path,
                demanded: ("paths", &self.paths),
                forbidden: ("notPaths", &self.not_paths),
            },
        ]
    }
}
