"""What is given wrongly is told at once, by the name of the argument or by what is wrong with it: nothing is sent, and nothing is
waited for."""

import copy
import functools
import os
import pickle
import time
from unittest import mock

import meltemi
from mesh import MeshTest

#: Nothing of this is asked of anybody; a registration that was tried again would take ten seconds.
AT_ONCE = 5


class Calls(MeshTest):
    def test_arguments_of_a_call_are_told_by_their_names(self):
        url = self.serve().url
        calls = [
            ("url", TypeError, lambda: self.mesh.get(None)),
            ("method", TypeError, lambda: self.mesh.call(5, url)),
            ("body", TypeError, lambda: self.mesh.post(url, 5)),
            ("body", TypeError, lambda: self.mesh.post(url, [])),
            ("headers", TypeError, lambda: self.mesh.get(url, headers={"x": 5})),
            ("headers", TypeError, lambda: self.mesh.get(url, headers=5)),
            ("headers", meltemi.RequestError, lambda: self.mesh.get(url, headers={"x": "\ud800"})),
            ("max_result", TypeError, lambda: self.mesh.call("GET", url, max_result="1")),
            ("max_result", meltemi.RequestError, lambda: self.mesh.call("GET", url, max_result=-1)),
            ("timeout", TypeError, lambda: self.mesh.get(url, timeout="1")),
            ("timeout", TypeError, lambda: self.mesh.get(url, timeout=True)),
            ("timeout", meltemi.RequestError, lambda: self.mesh.get(url, timeout=0)),
            ("timeout", meltemi.RequestError, lambda: self.mesh.get(url, timeout=float("nan"))),
            ("body and json", meltemi.RequestError, lambda: self.mesh.post(url, b"", json=1)),
            ("target_service", TypeError, lambda: meltemi.communicate(meltemi.Request(self.mesh, 5))),
            ("path", TypeError, lambda: meltemi.communicate(meltemi.Request(self.mesh, "a", path=None))),
        ]
        for name, kind, call in calls:
            with self.subTest(name), self.assertRaisesRegex(kind, name) as raised:
                call()
            self.assertIs(type(raised.exception), kind)

    def test_a_body_is_bytes_of_any_kind_or_text(self):
        service = self.serve(lambda request: request.body)
        for body in (b"here", bytearray(b"here"), memoryview(b"here"), "here"):
            self.assertEqual(self.mesh.post(service.url, body).body, b"here")
        self.assertEqual(self.mesh.post(service.url, b"here", json=None).body, b"here")

    def test_json_has_the_type_that_was_named_for_it_or_its_own(self):
        service = self.serve(lambda request: [value for name, value in request.headers if name == "content-type"])
        self.assertEqual(self.mesh.post(service.url, json={}).json(), ["application/json"])
        named = self.mesh.post(service.url, json={}, headers={"Content-Type": "a/b+json"})
        self.assertEqual(named.json(), ["a/b+json"])

    def test_urls_that_can_be_called_are_and_others_are_told_by_what_is_wrong(self):
        requests = []

        def handler(request):
            requests.append(request)
            return f"{request.path}?{request.query}"

        service = self.serve(handler)
        for url, said in [
            (f"{service.url}?q=1", "/?q=1"),
            (f"{service.url}#fragment", "/?"),
            (f"{service.url}/a?b=c#d", "/a?b=c"),
        ]:
            response = self.mesh.get(url)
            self.assertEqual((response.text, response.service), (said, f"{service.host}:{service.port}"))
        same = {"Host": f"{service.host}:{service.port}"}
        self.assertEqual(self.mesh.get(service.url, headers=same).text, "/?")
        served = len(requests)
        for url, headers, what in [
            (f"http://{service.host}:99999/", None, "port"),
            (f"http://{service.host}:abc/", None, "port"),
            (f"http://{service.host}:/", None, "port"),
            (f"http://me@{service.host}:{service.port}/", None, "authorization"),
            (service.url, {"Host": "other"}, "`host` says other"),
        ]:
            with self.subTest(url), self.assertRaisesRegex(meltemi.RequestError, what):
                self.mesh.get(url, headers=headers)
        self.assertEqual(len(requests), served)


class Services(MeshTest):
    def test_a_service_that_cannot_be_is_refused_where_it_is_made_or_registered(self):
        def service(name="x", port=8001, **more):
            return lambda: meltemi.Service(name, port, **more)

        def registered(ip="127.0.0.1", name="x", **more):
            return lambda: meltemi.Service(name, 8001, handler=repr, **more).register(ip, mesh=self.mesh)

        cases = [
            ("handler", TypeError, service(handler=5)),
            ("asgi", TypeError, service(asgi="app")),
            ("wsgi", TypeError, service(wsgi=object())),
            ("labels", TypeError, service(labels=["version"])),
            ("labels: `version`", TypeError, service(labels={"version": 1})),
            ("name", TypeError, service(name=5)),
            ("port", TypeError, service(port="8001")),
            ("port", TypeError, service(port=True)),
            ("ip", TypeError, registered(ip=None)),
            ("max_request", meltemi.SettingsError, service(max_request=-1)),
            ("max_result", meltemi.SettingsError, service(max_result=-1)),
            ("max_result", meltemi.SettingsError, lambda: meltemi.Mesh.embedded(max_result=-1)),
            ("a b: x", meltemi.SettingsError, registered(labels={"a b": "x"})),
            ("version: x y", meltemi.SettingsError, registered(labels={"version": "x y"})),
            ("at most 63", meltemi.SettingsError, registered(name="x" * 64)),
            ("0.0.0.0", meltemi.SettingsError, registered(ip="0.0.0.0")),
            ("224.0.0.1", meltemi.SettingsError, registered(ip="224.0.0.1")),
            ("`::`", meltemi.SettingsError, registered(ip="::")),
            ("255.255.255.255", meltemi.SettingsError, registered(ip="255.255.255.255")),
        ]
        began = time.monotonic()
        for what, kind, make in cases:
            with self.subTest(what), self.assertRaisesRegex(kind, what) as raised:
                make()
            self.assertIs(type(raised.exception), kind)
        self.assertLess(time.monotonic() - began, AT_ONCE)

    def test_a_handler_that_a_loop_would_have_to_wait_for_is_refused(self):
        class Called:
            async def __call__(self, request):
                return "never"

        async def function(request):
            return "never"

        async def pieces(request):
            yield "never"

        for handler in (function, pieces, Called(), functools.partial(function, 1)):
            for word in ("handler", "wsgi"):
                with self.subTest(handler), self.assertRaisesRegex(meltemi.SettingsError, f"{word}: .*asgi="):
                    meltemi.Service("never", 9094, **{word: handler})

    def test_an_answer_that_is_none_is_told_and_not_made_json(self):
        async def later():
            return "never"

        for answer, told in ((lambda _: ("x", 404), "Reply"), (lambda _: later(), "asgi=")):
            service = self.serve(answer)
            with self.assertLogs("meltemi", "ERROR") as logs:
                self.assertEqual(self.mesh.get(service.url).status, 500)
            self.assertIn(told, logs.output[0])

    def test_services_that_the_program_holds_no_longer_are_found_and_closed(self):
        for _ in range(2):
            meltemi.Service("again", 9093, handler=lambda _: "here").register(mesh=self.mesh)
        found = [it for it in self.mesh.services if it.host == "again"]
        self.assertEqual(len(found), 2)
        found[0].close()
        self.assertEqual([it for it in self.mesh.services if it.host == "again"], [found[1]])
        self.assertEqual(found[1].get(found[1].url).text, "here")
        found[1].close()

    def test_a_handler_is_taken_though_python_counts_it_for_nothing(self):
        class Empty:
            def __len__(self):
                return 0

            def __call__(self, request):
                return "from nothing"

        self.assertEqual(self.mesh.get(self.serve(Empty()).url).text, "from nothing")


    def test_a_file_that_the_environment_names_and_that_is_not_there_is_told(self):
        environment = {"MELTEMI_CONTROL": "https://mesh.example.com:15012", "MELTEMI_TOKEN_FILE": "/no/token"}
        with mock.patch.dict(os.environ, environment):
            with self.assertRaisesRegex(meltemi.SettingsError, "MELTEMI_TOKEN_FILE: .*/no/token"):
                meltemi.Service("x", 8001).register()


class Answers(MeshTest):
    def test_a_result_can_be_shown_whatever_the_service_has_said(self):
        said = {
            "/": (b'{"a": 1}', {"a": 1}),
            "/wrong": (b"{no", "{no"),
            "/deep": (b"[" * 100_000, "[" * 100_000),
            "/binary": (b'"\xff', '"\ufffd'),
            "/empty": (b"", None),
        }
        kind = {"content-type": "Application/JSON; charset=utf-8"}
        service = self.serve(lambda request: meltemi.Reply(said[request.path][0], headers=kind))
        for path, (_, value) in said.items():
            result = self.mesh.get(service.url + path).result
            with self.subTest(path):
                self.assertEqual(result.value, value)
                self.assertIn(service.host, repr(result))
        head = self.mesh.call("HEAD", service.url).result
        self.assertIsNone(head.value)
        self.assertIn("None", repr(head))
        with self.assertRaises(ValueError):
            self.mesh.get(f"{service.url}/wrong").json()

    def test_answers_and_errors_can_be_copied_and_pickled(self):
        service = self.serve(lambda _: meltemi.Reply("no such thing", status=404, headers={"x-why": "none"}))
        response = self.mesh.get(service.url)
        error = meltemi.StatusError(response)
        nobody = meltemi.UnknownServiceError("nobody")
        for again in (copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
            other = again(response.result).response
            for name in ("status", "headers", "body", "text", "flags", "caller", "service", "latency"):
                self.assertEqual(getattr(other, name), getattr(response, name), name)
            self.assertEqual(other.header("X-Why"), "none")
            self.assertEqual(again(other).body, response.body)
            for kind in (meltemi.StatusError, meltemi.HandlerError):
                failed = again(kind(response))
                self.assertIs(type(failed), kind)
                self.assertEqual((str(failed), failed.response.status), (str(error), 404))
            self.assertEqual(repr(again(nobody)), repr(nobody))
        for name in meltemi.__all__:
            if name.endswith("Error"):
                self.assertEqual(getattr(meltemi, name).__module__, "meltemi", name)


class Outcomes(MeshTest):
    def test_a_service_is_asked_about_by_any_of_its_names_also_when_it_has_gone(self):
        service = self.serve(lambda _: "")
        self.mesh.get(service.url)
        told = self.mesh.outcomes(service.host, at_least=1)
        self.assertEqual([it.calls for it in told], [1])
        self.assertEqual(len(self.mesh.outcomes(told[0].service)), 1)
        self.assertEqual(len(self.mesh.outcomes(f"{service.host}:{service.port}")), 1)
        self.assertEqual(self.mesh.outcomes(f"{service.host}:1"), [])
        self.assertEqual(len(self.mesh.outcomes(service.host, namespace="default")), 1)
        with self.assertRaises(meltemi.UnknownServiceError):
            self.mesh.outcomes(service.host, namespace="far")
        self.assertEqual(meltemi.outcomes(namespace="far", state_dir=self.mesh.state_dir), [])
        service.close()
        self.assertEqual([it.calls for it in self.mesh.outcomes(service.host)], [1])

    def test_what_cannot_be_asked_is_told(self):
        with self.assertRaisesRegex(meltemi.SettingsError, "1s to 1h"):
            self.mesh.outcomes(window="2h")
        for name in ("nope", "nope:8001", "nope.far"):
            with self.subTest(name), self.assertRaisesRegex(meltemi.UnknownServiceError, "nope"):
                self.mesh.outcomes(name)
