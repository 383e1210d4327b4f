"""`python -m spendwatch`."""

from spendwatch.cli import main

if __name__ == "__main__":
    main()
