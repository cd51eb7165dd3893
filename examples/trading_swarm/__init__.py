"""A swarm of agents trades five stocks on real daily prices, and proves that it did so correctly.

    python -m examples.trading_swarm

For every symbol one market data agent replays the bars and three analyzers look at them: momentum,
mean reversion, volatility. One risk manager turns their signals into orders, one execution engine
fills them at the next day's open, one portfolio keeps the account, and one clock lets the days
begin. `README.md` beside this file says exactly what the strategy is and how a message travels;
`reference.py` computes the same strategy without agents, and the two have to agree on every trade
and on the equity of every day to the last hundredth of a cent.
"""

# The modules, lowest first; a module imports only from those above it in this list.
#
#   parameters    the numbers of the strategy
#   market        the prices
#   randomly      random prices, and random parameters
#   reference     the strategy without agents, which the swarm is checked against
#   messages      what agents say to one another
#   observe       the monitor: latencies, depths, progress
#   feed          the clock, and the market data agents
#   analyzers     momentum, mean reversion, volatility; and what makes one slow
#   execution     orders become fills
#   portfolio     fills become an account
#   risk          signals become orders
#   swarm         who is wired to whom, and running it
#   verify        swarm against reference
#   metrics       return, Sharpe ratio, drawdown, trades
#   report        tables for a terminal
#   picture       the SVG
#   cli           the command line
