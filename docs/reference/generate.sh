#!/usr/bin/env bash
# Writes cli.md: what each command prints for --help. Takes the binary as its argument, target/debug/meltemi if there is none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
meltemi=${1:-$here/../../target/debug/meltemi}

# Defaults in the text must be the program's own, and the lines' ends must not depend on the terminal.
while IFS= read -r variable; do unset "$variable"; done < <(compgen -v MELTEMI_ || true)
unset SPIFFE_ENDPOINT_SOCKET
export COLUMNS=100

# The commands that a help text lists.
commands_of() {
  "$meltemi" "$@" --help | awk '/^Commands:/{on=1;next} /^$/{on=0} on && $1!="help"{print $1}'
}

section() {
  printf '\n## meltemi%s\n\n```text\n' "${*:+ $*}"
  "$meltemi" "$@" --help | sed 's/[[:space:]]*$//'
  printf '```\n'
  local command
  while IFS= read -r command; do
    [ -z "$command" ] || section "$@" "$command"
  done < <(commands_of "$@")
}

{
  printf '# Commands\n\nMade by [generate.sh](generate.sh): what each command prints for `--help`.\n'
  section
} >"$here/cli.md"
