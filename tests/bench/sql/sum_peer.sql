-- Events, and whether balances agree with them.
SELECT (SELECT count(*) FROM peer.events) AS events,
       (SELECT coalesce(sum(amount), 0) FROM peer.events) = (SELECT sum(consumed) FROM peer.balances) AS agree
