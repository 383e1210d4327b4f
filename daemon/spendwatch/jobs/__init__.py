"""The three jobs of the daemon: collect, assess, deliver. They know no file format, SQL or protocol; only the ports."""
