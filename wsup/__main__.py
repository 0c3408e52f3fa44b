"""`python -m wsup`."""

from wsup.cli import main

if __name__ == "__main__":
    main(prog_name="wsup")
