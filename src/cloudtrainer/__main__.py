"""``python -m cloudtrainer``: the command line, where the script is not on the path."""

from cloudtrainer.cli import main

if __name__ == "__main__":
    main()
