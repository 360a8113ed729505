#!/usr/bin/env python3
"""An authorizer by HTTP: who bears the key passes, and the application is told who that is."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import sys

KEYS = {"k-ann": "ann", "k-bob": "bob"}


class Authorizer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        user = KEYS.get(self.headers.get("x-api-key", ""))
        body = b"" if user else b"no such key\n"
        self.send_response(200 if user else 401)
        if user:
            self.send_header("x-user", user)
            self.send_header("x-envoy-auth-headers-to-remove", "x-api-key")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Authorizer).serve_forever()
