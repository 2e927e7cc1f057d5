"""The commands, one file each: arguments, and the function that runs them.

Each imports what it needs only when it runs, so that `jointwrist --help` is quick.
"""
