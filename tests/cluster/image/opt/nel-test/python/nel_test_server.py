"""A small OpenAI-compatible server that plays vLLM, SGLang, TensorRT-LLM, NIM or an outside endpoint.

It adds numbers: "What is 3 + 4?" is answered "7", except that a sum that leaves 7 when divided by 8 (or what the
checkpoint's config.json has as `wrong`, a list) is answered one too high, so scores are neither 0 nor 1 and always the same. It checks the model's name and the
API key as the real servers do.

Variables that make it misbehave:
  NEL_TEST_SERVER_DELAY_S         listens only after so many seconds
  NEL_TEST_SERVER_NEVER_HEALTHY   health says 503 for ever
  NEL_TEST_SERVER_HANG            connections are accepted and never answered
  NEL_TEST_SERVER_DIE_AFTER_S     ends with exit code 1 after so many seconds
  NEL_TEST_SERVER_EXIT            ends at once with this exit code
  NEL_TEST_SERVER_ANSWER_S        each answer takes so many seconds
"""

import hashlib
import json
import os
import re
import signal
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEALTH = ("/health", "/health_generate", "/v1/health/ready", "/v1/health/live", "/ping")
QUESTION = re.compile(r"(-?\d+) \+ (-?\d+)")


def log(text):
    print(text, flush=True)


def answer_to(question, wrong=(7,)):
    match = QUESTION.search(question)
    if match is None:
        return "I can only add."
    total = int(match.group(1)) + int(match.group(2))
    return str(total + 1 if total % 8 in wrong else total)


def embedding_of(text):
    digest = hashlib.sha256(text.encode()).digest()
    return [round(byte / 255.0, 6) for byte in digest[:8]]


def text_of(content):
    """The text of a chat message: a string, or parts as vision models take them."""
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content)
    return content or ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "nel-test-server"

    def log_message(self, format, *arguments):
        log("INFO:     %s - %s" % (self.address_string(), format % arguments))

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message, kind):
        self.reply(status, {"object": "error", "message": message, "type": kind, "code": status})

    def allowed(self):
        key = self.server.options.get("api_key")
        if key and self.headers.get("Authorization") != "Bearer " + key:
            self.refuse(401, "Unauthorized", "AuthenticationError")
            return False
        return True

    def do_GET(self):
        if self.path in HEALTH:
            if os.environ.get("NEL_TEST_SERVER_NEVER_HEALTHY"):
                self.refuse(503, "not ready", "ServiceUnavailable")
            else:
                self.reply(200, {"status": "ready"})
        elif self.path == "/v1/models":
            if self.allowed():
                names = self.server.options["models"]
                self.reply(200, {"object": "list", "data": [{"id": n, "object": "model"} for n in names]})
        elif self.path == "/metrics" and self.server.options["name"] == "vllm":
            self.count()
        else:
            self.refuse(404, "Not Found", "NotFoundError")

    def count(self):
        """As vLLM's, in Prometheus's text format."""
        data = ("# TYPE vllm:request_success_total counter\n"
                'vllm:request_success_total{engine="0",finished_reason="stop",model_name="%s"} %.1f\n' %
                (self.server.options["models"][0], self.server.finished)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.allowed():
            return
        try:
            body = json.loads(raw)
        except ValueError:
            self.refuse(400, "not JSON", "BadRequestError")
            return
        time.sleep(float(os.environ.get("NEL_TEST_SERVER_ANSWER_S") or 0))
        if self.path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/ranking"):
            self.answer(body)
        else:
            self.refuse(404, "Not Found", "NotFoundError")

    def answer(self, body):
        model = body.get("model")
        if model not in self.server.options["models"]:
            self.refuse(404, "The model `%s` does not exist." % model, "NotFoundError")
            return
        usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
        reply = {"id": "nel-test", "created": 0, "model": model, "usage": usage}
        if self.path == "/v1/chat/completions":
            text = answer_to(text_of(body["messages"][-1].get("content")), self.server.options["wrong"])
            message = {"role": "assistant", "content": text}
            reply.update(object="chat.completion", choices=[{"index": 0, "message": message, "finish_reason": "stop"}])
        elif self.path == "/v1/completions":
            text = answer_to(str(body.get("prompt", "")), self.server.options["wrong"])
            reply.update(object="text_completion", choices=[{"index": 0, "text": text, "finish_reason": "stop"}])
        elif self.path == "/v1/embeddings":
            inputs = body.get("input", "")
            inputs = inputs if isinstance(inputs, list) else [inputs]
            data = [{"object": "embedding", "index": i, "embedding": embedding_of(t)} for i, t in enumerate(inputs)]
            reply.update(object="list", data=data)
        else:
            reply.update(rankings=[{"index": i, "logit": -float(i)} for i in range(len(body.get("passages", [])))])
        with self.server.lock:
            self.server.finished += 1
        self.reply(200, reply)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    allow_reuse_port = True  # as vLLM: a second server of the account binds the port, too, and shares its requests

    def process_request(self, request, client_address):
        if os.environ.get("NEL_TEST_SERVER_HANG"):
            self.hung.append(request)
            return
        super().process_request(request, client_address)


def die_later(seconds):
    time.sleep(seconds)
    log("ERROR:    engine process failed (NEL_TEST_SERVER_DIE_AFTER_S)")
    os._exit(1)


def stop(signum, _frame):
    log("INFO:     Shutting down (signal %d)" % signum)
    os._exit(0)


def serve(name, host, port, models, api_key=None, certificate=None, wrong=(7,)):
    """Serves until it is told to stop. models: the names that requests may use; certificate: a PEM file with its key, for TLS;
    wrong: what a sum that is answered wrongly leaves when divided by 8."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if os.environ.get("NEL_TEST_SERVER_EXIT"):
        log("ERROR:    cannot start (NEL_TEST_SERVER_EXIT)")
        sys.exit(int(os.environ["NEL_TEST_SERVER_EXIT"]))
    if os.environ.get("NEL_TEST_SERVER_DIE_AFTER_S"):
        seconds = float(os.environ["NEL_TEST_SERVER_DIE_AFTER_S"])
        threading.Thread(target=die_later, args=(seconds,), daemon=True).start()
    log("INFO:     %s loading %s" % (name, ", ".join(models)))
    time.sleep(float(os.environ.get("NEL_TEST_SERVER_DELAY_S") or 0))
    server = Server((host, port), Handler)
    server.options = {"name": name, "models": models, "api_key": api_key, "wrong": wrong}
    server.lock, server.finished = threading.Lock(), 0
    server.hung = []
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    log("INFO:     %s serving %s on %s://%s:%d" % (name, ", ".join(models), "https" if certificate else "http", host, server.server_port))
    server.serve_forever()


def options_of(arguments):
    """Splits a server's command line: (positional arguments, {option: [values]}); unknown options are fine."""
    positional, options, last = [], {}, None
    for argument in arguments:
        if argument.startswith("-"):
            last, _, value = argument.partition("=")
            last = last.lstrip("-").replace("_", "-")
            options.setdefault(last, []).extend([value] if value else [])
        elif last is not None:
            options[last].append(argument)
        else:
            positional.append(argument)
    return positional, options


def first(options, name, default=None):
    return (options.get(name) or [default])[0]
