-- Since the catalogue names the shard with the account, the key of used_items serves it, and the fold no longer writes two indexes for
-- each new item.
DROP INDEX projections.used_items_account;
