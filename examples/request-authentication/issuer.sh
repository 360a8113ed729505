#!/usr/bin/env bash
# An issuer of tokens made of openssl: `issuer.sh keys` prints its key set, `issuer.sh token SUBJECT [SECONDS]` a token (RS256).
# The private key is made where KEY says, issuer.pem if it says nothing.
set -euo pipefail
key=${KEY:-issuer.pem}
issuer=${ISSUER:-https://issuer.example}
[ -s "$key" ] || (umask 077 && openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$key")

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

case ${1:-} in
  keys)
    modulus=$(openssl rsa -in "$key" -noout -modulus | cut -d= -f2)
    n=$(printf '%s' "$modulus" | sed 's/../\\x&/g' | xargs -0 printf '%b' | base64url)
    printf '{"keys": [{"kty": "RSA", "kid": "one", "alg": "RS256", "e": "AQAB", "n": "%s"}]}\n' "$n"
    ;;
  token)
    head=$(printf '{"alg":"RS256","kid":"one","typ":"JWT"}' | base64url)
    claims=$(printf '{"iss":"%s","sub":"%s","aud":"books","exp":%d}' "$issuer" "$2" "$(($(date +%s) + ${3:-600}))" | base64url)
    signature=$(printf '%s' "$head.$claims" | openssl dgst -sha256 -sign "$key" -binary | base64url)
    printf '%s.%s.%s\n' "$head" "$claims" "$signature"
    ;;
  *)
    echo "usage: $0 keys | token SUBJECT [SECONDS]" >&2
    exit 2
    ;;
esac
