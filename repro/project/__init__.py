"""What the author says and what lies in the folder.

Lives here: reading repro.yml, finding notebooks and languages, the run's environment.
May import: repro.model, repro.primitives, repro.errors.
Never: runs anything, or looks at installed packages.
"""
