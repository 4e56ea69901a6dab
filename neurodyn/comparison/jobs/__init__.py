"""Runs in processes of their own: side by side on this machine, or sent to a cluster."""
