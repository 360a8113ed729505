# What is done often. `check` is exactly what continuous integration runs.

# Everything that a change must pass.
check:
    bash .ci/run

# Formatting and lints alone.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# All tests, or those whose name contains a word.
test *WORD:
    cargo test --workspace -- {{WORD}}

# Whole meshes alone, or those tests whose name contains a word.
mesh *WORD:
    cargo test -p meltemi-tests -- {{WORD}}

# Licences, second versions, sources.
deny:
    cargo deny --offline check -D unmatched-skip -D unnecessary-skip licenses bans sources
