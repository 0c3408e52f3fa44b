"""A trigger that asks for jobs: whoever changes an article, from wherever, has it indexed.

    export WSUP_DATABASE=postgresql://…  # or the address that `wsup start` prints without one
    wsup migrate
    wsup start --app articles:app        # in this folder
    python articles.py                   # in another terminal, same folder

`wsup.enqueue` is an SQL function like others. It is transactional, and needs no Python.
"""

import os
import re

import psycopg

from wsup import App

DATABASE = os.environ.get("WSUP_DATABASE", "")
SCHEMA = """
    CREATE TABLE IF NOT EXISTS article (id serial PRIMARY KEY, body text, job bigint);
    CREATE TABLE IF NOT EXISTS word (word text, article integer, PRIMARY KEY (word, article));

    CREATE OR REPLACE FUNCTION index_article() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.job := wsup.enqueue('articles.index', jsonb_build_object('article', NEW.id));
        RETURN NEW;
    END
    $$;
    CREATE OR REPLACE TRIGGER index_article BEFORE INSERT OR UPDATE OF body ON article
        FOR EACH ROW EXECUTE FUNCTION index_article();
"""
READ = "SELECT body FROM article WHERE id = %s"
FORGET = "DELETE FROM word WHERE article = %s"
WRITE = "INSERT INTO word SELECT unnest(%s::text[]), %s"
INSERT = "INSERT INTO article (body) VALUES (%s) RETURNING id, job"
UPDATE = "UPDATE article SET body = %s WHERE id = %s RETURNING job"
FIND = "SELECT article FROM word WHERE word = %s"

app = App()


@app.task(retries=3)
def index(article: int) -> int:
    """Index the article as it is now; returns how many words it has."""
    with psycopg.connect(DATABASE) as connection:  # one transaction: all of it or nothing
        (body,) = connection.execute(READ, [article]).fetchone() or ("",)
        words = sorted(set(re.findall(r"\w+", body.lower())))
        connection.execute(FORGET, [article])
        connection.execute(WRITE, [words, article])
    return len(words)


def main() -> None:
    with psycopg.connect(DATABASE, autocommit=True) as connection:
        connection.execute(SCHEMA)

        article, job = connection.execute(INSERT, ["One fish, two fish"]).fetchone() or (0, 0)
        print(f"article {article} has {index.job(job).result(timeout=30)} words")
        print(f"fish is in {connection.execute(FIND, ['fish']).fetchall()}")

        (job,) = connection.execute(UPDATE, ["Red bird", article]).fetchone() or (0,)
        print(f"article {article} has {index.job(job).result(timeout=30)} words now")
        print(f"fish is in {connection.execute(FIND, ['fish']).fetchall()}")


if __name__ == "__main__":
    main()
