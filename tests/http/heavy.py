"""Tasks that take and give much."""

from wsup import App

app = App()


@app.task(name="give")
def give(size: int) -> str:
    return "x" * size


@app.task(name="take")
def take(text: str) -> int:
    return len(text)
