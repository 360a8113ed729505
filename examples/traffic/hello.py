"""A server to try rules on: hello.py PORT VERSION [STATUS]. It says which version it is and what it was asked.

/status/503 answers with that status, /delay/2 after two seconds. Each request is a line on standard error.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, VERSION = int(sys.argv[1]), sys.argv[2]
STATUS = int(sys.argv[3]) if len(sys.argv) > 3 else 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, (_, word, value, *_) = STATUS, (self.path.split("?")[0] + "//").split("/")
        if word == "status":
            status = int(value)
        if word == "delay":
            time.sleep(float(value))
        body = f"{VERSION} {self.command} {self.path}\n".encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, form, *arguments):
        host = self.headers.get("host", "")
        attempt = self.headers.get("x-envoy-attempt-count", "")
        line = f"{VERSION} {host} attempt {attempt}: {form % arguments}\n"
        sys.stderr.write(line)


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
