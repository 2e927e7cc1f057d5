"""The commands, a file each: what it takes, and what it does.

Each imports what it needs when it runs, so that `jointwrist --help` is quick.
"""
