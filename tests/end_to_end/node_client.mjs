// A client in Node with nothing installed: fetch, and the URL in PIPELINE_URL.
// Started by test_node.py; it is not named as a test, so that node's own search leaves it out.

import assert from 'node:assert/strict'
import { test } from 'node:test'

const url = process.env.PIPELINE_URL
const source = `node-${process.pid}`

async function call (method, params, id = 1) {
  const response = await fetch(`${url}/rpc`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', method, params, id })
  })
  return response.json()
}

test('log replies once the entry is durable, and query has it', { skip: !url }, async () => {
  const params = { source, level: 'WARN', message: 'snow ☃ 😀', metadata: { n: 1.5, deep: { a: [null] } } }
  const logged = await call('log', params)
  assert.equal(logged.result.status, 'received')

  const { result } = await call('query', { sources: [source] }, 'q')
  assert.equal(result.count, 1)
  const [entry] = result.logs
  assert.equal(entry.id, logged.result.id)
  assert.equal(entry.message, params.message)
  assert.deepEqual(entry.metadata, params.metadata)
  assert.match(entry.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
})

test('a lone surrogate, which JavaScript strings may hold, costs only its entry', { skip: !url }, async () => {
  const logs = [{ source, message: 'ok' }, { source, message: '\ud800' }, { source, message: 'fine' }]
  const { result } = await call('log_batch', { logs })
  assert.equal(result.accepted, 2)
  assert.equal(result.rejected[0].index, 1)
  assert.match(result.rejected[0].error, /message: a lone surrogate/)
})

test('an error is an object with code, message and data', { skip: !url }, async () => {
  const { error, id } = await call('query', { limt: 5 }, 'x')
  assert.equal(id, 'x')
  assert.equal(error.code, -32602)
  assert.deepEqual(error.data.nearest, ['limit'])
})

test('the live tail is a stream of events', { skip: !url }, async () => {
  const abort = new AbortController()
  const response = await fetch(`${url}/tail?sources=${source}`, { signal: abort.signal })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  let text = ''
  let isLogged = false
  const decoder = new TextDecoder()
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('id: ') && !isLogged) {
      isLogged = true
      await call('log', { source, message: 'tailed' })
    }
    if (text.includes('data: ')) break
  }
  abort.abort()
  const line = text.split('\n').find((one) => one.startsWith('data: '))
  assert.equal(JSON.parse(line.slice(6)).message, 'tailed')
})
