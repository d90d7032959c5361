'use strict';

/**
 * pm2: `pm2 start ecosystem.config.js`. One process of Node, which starts the pipeline and
 * stops it in order; applications beside it find it running and only use it.
 */
module.exports = {
  apps: [
    {
      name: 'log-system',
      script: require.resolve('./src/main.js'),
      args: process.env.LOG_SYSTEM_CONFIG
        ? ['--config', process.env.LOG_SYSTEM_CONFIG]
        : [],
      exec_mode: 'fork',
      instances: 1,
      wait_ready: true,
      listen_timeout: 30_000,
      // it stops its processes itself, in an order that loses nothing
      treekill: false,
      // what is on its way is sent, then each process of the pipeline has 10 s
      kill_timeout: 45_000,
      exp_backoff_restart_delay: 100,
    },
  ],
};
