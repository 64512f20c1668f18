"""Entry points, one blueprint per trigger family: decode, call one service, encode."""
