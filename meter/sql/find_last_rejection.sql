-- The highest number of a rejection.
SELECT max(rejection_id) FROM meter.rejections
