SELECT nextval('wsup.lane_turn')
