"""
Examples
========
"""
