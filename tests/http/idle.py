"""An app with all that a supervisor looks at by the clock, and nothing to do meanwhile."""

from wsup import App

app = App()


@app.schedule("0 3 1 1 *")
@app.task(name="nightly", per_host=2)
def nightly() -> None:
    pass
