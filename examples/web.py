"""A web server that answers at once, and leaves the work to jobs. No framework, to show the idea.

    wsup start --app web:app             # in this folder; it brings a PostgreSQL if none is named
    python web.py 8000                   # in another terminal, same folder

    curl -i -d 'the text to count' localhost:8000/counts       # 202, and where to look
    curl -i localhost:8000/counts/1                            # 202 until it is 200

In an async framework, write `await count.aenqueue(text)`, `await job.astatus()`, and so on.
"""

import json
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wsup import App, ArgumentsTooLarge, JobError, JobNotFound, ResultTimeout

app = App(max_args=100_000)


@app.task(timeout=60)
def count(text: str) -> dict[str, int]:
    """How often each word occurs, the most frequent first."""
    return dict(Counter(text.lower().split()).most_common())


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Enqueue a job; the client is told where its result will be."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode(errors="replace")
        try:
            job = count.enqueue(text)
        except ArgumentsTooLarge as error:
            return self._answer(413, {"error": str(error)})
        return self._answer(202, {"job": job.id}, Location=f"/counts/{job.id}")

    def do_GET(self) -> None:
        """The result of a job, if there is one."""
        number = self.path.removeprefix("/counts/")
        job = count.job(int(number) if number.isdecimal() else 0)
        try:
            return self._answer(200, job.result(timeout=0))
        except ResultTimeout:
            return self._answer(202, {"status": job.status()})
        except JobNotFound as error:
            return self._answer(404, {"error": str(error)})
        except JobError as error:
            return self._answer(500, {"error": str(error)})

    def _answer(self, code: int, body: object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    # Each request has a thread of its own; they share the app's few connections.
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
