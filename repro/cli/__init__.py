"""The command line: options, help, drawing, exit codes.

Lives here: one module per command, the drawing of events, main().
May import: repro.workflows, repro.report, and every lower floor.
Never: decides anything about an analysis.
"""
