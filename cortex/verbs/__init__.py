"""The verbs of the command line, one function each: arguments in, an exit status out."""
