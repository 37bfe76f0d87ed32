"use strict";
// Tests of the built playground in headless Chromium: node test.js PAGE LAB [--picture FILE | --only WORDS].
// PAGE is the built page, LAB the `lab` program, whose words the page has to use.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { spawnSync } = require("node:child_process");
const { gzipSync } = require("node:zlib");

const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [, , file, lab, option, argument] = process.argv;
const address = `file://${path.resolve(file)}`;
const WIDTHS = [1280, 390];
const SCHEMES = ["light", "dark"];
const TABS = ["datagram", "exchange", "order", "quiz", "capture", "spec"];
const SUM = "00000000010000000300000005";
const GOLDEN = "1e2b04000102030405060708fffffffe00000005";

/** A generator with a seed: mulberry32. */
function generator(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Lines of datagrams, each with its direction, of which most begin as datagrams of the protocol do. */
function randomDatagrams(count) {
  const random = generator(6);
  const hex = (octets) => octets.map((octet) => octet.toString(16).padStart(2, "0")).join("");
  const starts = [[0], [1], [2], [3], [0x45], [0x0e], [0x0f], [0x1e, 0x2b, 4, 0], [0x1f, 0x2f, 1, 0], [0x1e, 0x5e, 2, 0], [0x1e], [0x2e],
    [0xff, 0, 0, 0], [0x7f, 1, 1, 0], [0x7f, 4, 1, 0], [0xff], [0x7f], [0x80]];
  return Array.from({ length: count }, () => {
    const start = random(6) === 0 ? [random(256)] : starts[random(starts.length)];
    const length = random(3) === 0 ? random(70) : 4 * random(6) + 12 * random(2);
    const small = random(2) === 0;
    const rest = Array.from({ length }, () => (small && random(3) > 0 ? 0 : random(256)));
    return `${random(5) < 3 ? ">" : "<"} ${hex([...start, ...rest])}`;
  });
}

/** The arguments of a browser that asks nothing of anybody. */
const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

async function open(browser, hash = "", { width = 1280, scheme = "light", height = 900 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  page.on("request", (request) => {
    if (!/^(file|data|blob):/.test(request.url())) page.problems.push(`the page asked for ${request.url()}`);
  });
  await page.goto(address + hash);
  await page.waitForSelector("html[data-ready]", { state: "attached" });
  return page;
}

const ask = (page, call, parameters = {}) => page.evaluate(([name, values]) => globalThis.playground.ask(name, values), [call, parameters]);
const text = (page, selector) => page.locator(selector).innerText();

const tests = {
  async "the page is small, and asks nothing of the network"(browser) {
    const octets = gzipSync(fs.readFileSync(file), { level: 9 }).length;
    assert.ok(octets < 400_000, `${octets} octets compressed`);
    const page = await open(browser);
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
    console.log(`     ${octets} octets compressed; first paint after ${Math.round(paint)} ms`);
    return page;
  },

  async "compose: the client's choice, or a forced form"(browser) {
    const page = await open(browser);
    assert.equal(await text(page, "#request-summary"), "+ 1 3 5");
    assert.equal(await text(page, "#line"), "client -op + ::1 10000 1 3 5");
    assert.equal(await text(page, "#answer-summary"), "= 9");
    await page.fill("#operands", "0xff -2");
    assert.match(await text(page, "#request-kind"), /^extended request/);
    assert.match(await text(page, "#why"), /operand 2 is -2/);
    assert.equal(await text(page, "#answer-summary"), "= 253");
    await page.selectOption("#form", "classic");
    assert.match(await text(page, "#compose-error"), /the classic form has only integers/);
    await page.fill("#operands", "0b111, 6");
    await page.selectOption("#operator", "product");
    await page.selectOption("#text", "1");
    assert.equal(await text(page, "#line"), "client -op '*' -s --classic ::1 10000 7 6");
    assert.equal(await text(page, "#answer-summary"), "= 42");
    await page.fill("#operands", "seven");
    assert.match(await text(page, "#compose-error"), /seven/);
    await page.selectOption("#operator", "power");
    await page.selectOption("#form", "either");
    await page.fill("#operands", "2 100");
    assert.match(await text(page, "#answer-summary"), /^error: result too large, needs \d+ octets$/);
    await page.selectOption("#text", "");
    assert.equal(await text(page, "#answer-summary"), `= ${2n ** 100n}`);
    await page.selectOption("#operator", "describe");
    assert.match(await text(page, "#answer-summary"), /calc6/);
    return page;
  },

  async "flip and edit: bits, fields, undo, the address"(browser) {
    const page = await open(browser, `#d=${SUM}`);
    await page.locator('#request-diagram [data-bit="6"]').click();
    assert.equal(await text(page, "#request-summary"), "* 1 3 5");
    assert.match(page.url(), /d=02000000/);
    assert.equal(await text(page, "#answer-summary"), "= 15");
    // The bit keeps the focus; the keyboard moves on and flips.
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Space");
    assert.equal(await text(page, "#request-summary"), "unknown operator 1 3 5");
    assert.match(await text(page, "#request-faults"), /opcode 3 is unknown/);
    assert.match(await text(page, "#answer-summary"), /^error/);
    assert.equal(await page.locator("#line").innerText(), "no client sends these octets");
    await page.keyboard.press("PageDown");
    assert.match(await text(page, "#detail"), /^Format/);
    await page.click("#undo");
    await page.click("#undo");
    assert.equal(await text(page, "#request-summary"), "+ 1 3 5");
    await page.click("#redo");
    assert.equal(await text(page, "#request-summary"), "* 1 3 5");
    await page.locator('#request-fields input[data-place="4"]').fill("0x1_00");
    await page.keyboard.press("Tab");
    assert.equal(await text(page, "#request-summary"), "* 1 256 5");
    await page.locator('#request-fields input[data-place="4"]').fill("4294967296");
    await page.keyboard.press("Tab");
    assert.match(await text(page, "#status"), /does not fit the field's 32 bits/);
    assert.equal(await text(page, "#request-summary"), "* 1 256 5");
    const again = await open(browser, new URL(page.url()).hash);
    assert.equal(await text(again, "#request-summary"), "* 1 256 5");
    await again.context().close();
    return page;
  },

  async "answer: results, errors, silence, the limit, clauses"(browser) {
    const page = await open(browser, `#d=${GOLDEN}`);
    assert.equal(await text(page, "#answer-summary"), "= 3");
    assert.match(await text(page, "#limit"), /At most 60 octets: three times the 20 octets/);
    assert.equal(await page.locator("#answer-dump .o").allInnerTexts().then((all) => all.join("")), "ff000000010203040506070803");
    await page.locator("#limit .clause").click();
    assert.match(await text(page, "#clause-text"), /never longer than three times its request/);
    await page.click("#clause-open");
    assert.ok(await page.locator("#spec .target").isVisible());
    for (const [octets, clause] of [[GOLDEN, "3.4"], [SUM, "2.3"], ["00ffffffff00000001", "2.9"], ["1f5e02000000000000000000000a03e8", "3.10"], ["45000000040000000200000003", "2.6"],
      ["", "2.7"], ["1e2b", "4.4"], ["7f", "4.1"], ["1e2b0100010203040506070805", "3.4"], ["1e2b0101010203040506070805", "3.9"]]) {
      assert.equal((await ask(page, "answer", { octets })).decides, clause, octets);
    }
    for (const [octets, summary, why] of [["ff00000019", "nothing", /that of a reply/], ["0000", "nothing", /does not answer/], ["1e2f010001020304050607080500", /^error: division by zero/, /divisor that is 0/],
      ["00ffffffff00000001", /^error/, null]]) {
      const other = await open(browser, `#d=${octets}`);
      const found = await text(other, "#answer-summary");
      if (typeof summary === "string") assert.equal(found, summary, octets);
      else assert.match(found, summary);
      if (why) assert.match(await text(other, "#answer-faults"), why);
      await other.context().close();
    }
    return page;
  },

  async "paste: octets, tcpdump, Wireshark, what is wrong"(browser) {
    const page = await open(browser);
    const paste = async (pasted) => {
      await page.click("#tab-datagram");
      await page.evaluate(() => { document.getElementById("more").open = true; });
      await page.fill("#hex", pasted);
      await page.click("#use-hex");
    };
    await paste("0x00, 00000001 00:00:00:09");
    assert.equal(await text(page, "#request-summary"), "+ 1 9");
    const packet = `6000000000111140${"0".repeat(31)}1${"0".repeat(31)}1${"0fa02710"}00110000` + "000000000100000003";
    const groups = packet.match(/.{1,32}/g).map((line, index) => `\t0x${(index * 16).toString(16).padStart(4, "0")}:  ${line.match(/.{1,4}/g).join(" ")}`);
    await paste(`10:00:00.000000 IP6 ::1.4000 > ::1.10000: UDP, length 9\n${groups.join("\n")}\n`);
    assert.equal(await text(page, "#request-summary"), "+ 1 3");
    const dump = packet.match(/.{1,32}/g).map((line, index) => `${(index * 16).toString(16).padStart(4, "0")}   ${line.match(/../g).join(" ")}   ........`);
    await paste("00 00000007");
    await paste(dump.join("\n"));
    assert.equal(await text(page, "#request-summary"), "+ 1 3");
    await paste("> 00 00000001\n< ff 00000001\n");
    assert.equal(await page.locator("#listed li").count(), 2);
    await page.locator("#listed button").nth(1).click();
    assert.equal(await text(page, "#request-title"), "Reply");
    assert.equal(await text(page, "#request-summary"), "= 1");
    await paste("00 0g");
    assert.match(await text(page, "#hex-error"), /line 1, column 5: .*hexadecimal digits/);
    return page;
  },

  async "exchange: the same seed gives the simulation's run; play, step, settings"(browser) {
    const page = await open(browser, `#tab=exchange&d=${SUM}&loss=50&delay=40&seed=9`);
    assert.ok(await page.locator("#ladder .flight").count() >= 2);
    const known = fs.readFileSync(path.join(__dirname, "fingerprints.txt"), "utf8").trim().split("\n");
    for (const line of known) {
      const [seed, fingerprint] = line.split(" ");
      const run = await ask(page, "run", { octets: SUM, seed: Number(seed), loss: 30, duplication: 10, delay_ms: 40, jitter_ms: 200, server: "calc6", first_wait_ms: 1000, retries: 3 });
      assert.equal(run.fingerprint, fingerprint, `seed ${seed}`);
    }
    assert.equal(known.length, 20);
    await page.click("#play");
    await page.click("#play");
    await page.click("#step");
    assert.ok(await page.locator("#ladder .now").getAttribute("visibility") === "visible");
    await page.click("#whole");
    assert.equal(await page.locator("#ladder .now").getAttribute("visibility"), "hidden");
    await page.selectOption("#peer", "silent");
    assert.equal(await text(page, "#run-summary"), "no reply to any attempt");
    assert.equal(await page.locator("#ladder .timer").count(), 4);
    await page.selectOption("#peer", "nobody");
    await page.locator("#loss").fill("0");
    assert.equal(await text(page, "#run-summary"), "no server at this port");
    assert.match(page.url(), /loss=0/);
    // A repeat has the identifier of the first; a wider request another one.
    const wide = await ask(page, "run", { octets: "1f5e0200000000000000000000020096", seed: 3, loss: 0, duplication: 0, delay_ms: 10, jitter_ms: 0, server: "calc6", first_wait_ms: 1000, retries: 3 });
    assert.equal(wide.outcome, `= ${2n ** 150n}`);
    assert.deepEqual(wide.flights.map((flight) => flight.from_client), [true, false, true, false]);
    assert.equal(wide.flights[0].identifier, wide.flights[1].identifier);
    assert.notEqual(wide.flights[0].identifier, wide.flights[2].identifier);
    const wrong = await open(browser, "#tab=exchange&d=0000");
    assert.match(await text(wrong, "#run-error"), /a client sends no such request/);
    await wrong.context().close();
    return page;
  },

  async "byte order: what a program without htonl asks"(browser) {
    const page = await open(browser, `#tab=order&d=${SUM}`);
    assert.equal(await text(page, "#order-wrong"), "+ 16777216 50331648 83886080");
    assert.equal(await text(page, "#order-wrong-answer"), "= 150994944");
    assert.equal(await text(page, "#order-right-answer"), "= 9");
    await page.click("#order-take");
    assert.equal(await text(page, "#request-summary"), "+ 16777216 50331648 83886080");
    const extended = await open(browser, `#tab=order&d=${GOLDEN}`);
    assert.equal(await text(extended, "#order-wrong"), "+ -16777217 83886080");
    await extended.context().close();
    return page;
  },

  async "quiz: right and wrong answers, the seed"(browser) {
    const page = await open(browser, "#tab=quiz&q=7");
    const blanks = await page.locator("#quiz-blanks input").count();
    await page.click("#quiz-check");
    assert.match(await text(page, "#quiz-score"), new RegExp(`^0 of ${blanks}$`));
    for (let seed = 1; seed <= 60; seed += 1) {
      const quiz = await ask(page, "quiz", { seed });
      assert.deepEqual(await ask(page, "quiz", { seed }), quiz, "the same seed");
      const whole = await ask(page, "explain", { octets: quiz.datagram.octets, direction: "request" });
      const answer = await ask(page, "answer", { octets: quiz.datagram.octets });
      const result = answer.reply?.fields.find((field) => field.name === "Result");
      const answers = [...quiz.blanks.map((place) => whole.fields[place].value), answer.reply ? result?.value ?? "error" : "nothing"];
      const graded = await ask(page, "quiz-check", { seed, answers });
      assert.equal(graded.right, answers.length, `seed ${seed}: ${JSON.stringify(graded)}`);
      const bad = await ask(page, "quiz-check", { seed, answers: answers.map(() => "77777777777") });
      assert.equal(bad.right, 0);
    }
    const quiz = await ask(page, "quiz", { seed: 7 });
    const whole = await ask(page, "explain", { octets: quiz.datagram.octets, direction: "request" });
    await page.locator("#quiz-blanks input").first().fill(whole.fields[quiz.blanks[0]].value);
    await page.keyboard.press("Enter");
    assert.match(await text(page, "#quiz-score"), /^1 of/);
    await page.click("#quiz-next");
    assert.match(page.url(), /q=8/);
    return page;
  },

  async "captures: pcapng, damaged ones, none"(browser) {
    const page = await open(browser, "#tab=capture");
    const folder = path.join(__dirname, "../wireshark");
    for (const name of ["classic", "extended", "errors", "loss", "malformed", "loop"]) {
      await page.setInputFiles("#file", path.join(folder, `${name}.pcapng`));
      await page.waitForFunction((name) => document.getElementById("capture-note").textContent.startsWith(name), name);
      const port = await page.locator("#port").inputValue();
      const told = spawnSync(lab, ["explain", "--json", "--pcap", path.join(folder, `${name}.pcapng`), "--port", port], { encoding: "utf8", maxBuffer: 1e9 }).stdout.trim().split("\n");
      const shown = await page.locator("#listed li").count();
      assert.equal(shown, Math.min(told.length, 300), name);
      assert.match(await page.locator("#listed li").first().innerText(), new RegExp(JSON.parse(told[0]).kind));
      assert.ok(await page.locator("#rungs .flight").count() === shown);
    }
    await page.locator("#listed button").first().click();
    assert.equal(await page.locator("#tab-datagram").getAttribute("aria-selected"), "true");
    await page.click("#tab-capture");
    await page.setInputFiles("#file", { name: "not.pcap", mimeType: "application/octet-stream", buffer: Buffer.from("#!/bin/sh\n") });
    await page.waitForFunction(() => /neither pcap nor pcapng/.test(document.getElementById("capture-error").textContent));
    const whole = fs.readFileSync(path.join(folder, "classic.pcapng"));
    await page.setInputFiles("#file", { name: "cut.pcapng", mimeType: "application/octet-stream", buffer: whole.subarray(0, whole.length - 7) });
    await page.waitForFunction(() => /damaged/.test(document.getElementById("capture-error").textContent));
    return page;
  },

  async "10,000 random datagrams are described in the words of lab explain --json"(browser) {
    const page = await open(browser);
    const lines = randomDatagrams(10_000);
    const told = spawnSync(lab, ["explain", "--json"], { input: lines.join("\n"), encoding: "utf8", maxBuffer: 1e9 });
    assert.equal(told.stderr, "");
    const expected = told.stdout.trim().split("\n").map((line) => JSON.parse(line));
    const { datagrams } = await ask(page, "paste", { text: lines.join("\n") });
    assert.equal(datagrams.length, lines.length);
    expected.forEach((one, index) => assert.deepEqual(datagrams[index], one, lines[index]));
    // What the page shows of a request is what was compared.
    for (const one of expected.filter((datagram) => datagram.direction === "request").slice(0, 60)) {
      await page.evaluate((octets) => { location.hash = `#d=${octets}`; }, one.octets);
      await page.waitForFunction((octets) => document.querySelector("#request-dump").textContent.length > 0 && location.hash.includes(octets), one.octets);
      const shown = await page.evaluate(() => ["request-kind", "request-summary", "request-title"].map((id) => document.getElementById(id).textContent));
      if (shown[2] === "Request") assert.deepEqual(shown.slice(0, 2), [one.kind, one.summary]);
    }
    return page;
  },

  async "whatever the address says, the page stands"(browser) {
    const random = generator(17);
    const page = await open(browser);
    for (let round = 0; round < 120; round += 1) {
      const noise = Array.from({ length: random(40) }, () => String.fromCharCode(32 + random(90))).join("");
      await page.evaluate((hash) => { location.hash = hash; }, `#tab=${TABS[random(6)]}&d=${encodeURIComponent(noise)}&q=${encodeURIComponent(noise)}&loss=${noise}&seed=${noise}`);
      await page.waitForTimeout(5);
    }
    await page.evaluate((octets) => { location.hash = `#d=${octets}`; }, "00".repeat(9000));
    await page.waitForTimeout(50);
    assert.match(await text(page, "#request-kind"), /9000 octets/);
    return page;
  },

  async "accessibility: axe-core finds nothing, at two widths, in both colour schemes"(browser) {
    let last = null;
    for (const width of WIDTHS) {
      for (const scheme of SCHEMES) {
        for (const tab of TABS) {
          const octets = tab === "datagram" ? "f0000000010000000300" : SUM;
          const page = await open(browser, `#tab=${tab}&d=${octets}&q=4`, { width, scheme });
          if (tab === "capture") {
            await page.setInputFiles("#file", path.join(__dirname, "../wireshark/loss.pcapng"));
            await page.waitForSelector("#rungs svg");
          }
          if (tab === "datagram") await page.evaluate(() => { document.getElementById("more").open = true; });
          await page.addScriptTag({ content: axe }).catch(() => page.evaluate(axe));
          const { violations } = await page.evaluate(() => globalThis.axe.run());
          const found = violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
          assert.deepEqual(found, [], `${tab}, ${width} px, ${scheme}`);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${tab} is wider than ${width} px`);
          assert.deepEqual(page.problems, []);
          await last?.context().close();
          last = page;
        }
      }
    }
    return last;
  },
};

async function main() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "calc6-playground-"));
  const executablePath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((name) => fs.existsSync(name));
  if (!executablePath) throw new Error("Chromium is missing: apt-get install chromium");
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS, env: { ...process.env, HOME: profile } });
  let failed = 0;
  try {
    if (option === "--picture") {
      const page = await open(browser, `#d=${SUM}`, { width: 1200, height: 980 });
      await page.locator('#request-diagram [data-bit="6"]').hover();
      await page.screenshot({ path: argument, clip: { x: 0, y: 0, width: 1200, height: 980 } });
      return;
    }
    for (const [name, body] of Object.entries(tests).filter(([name]) => option !== "--only" || name.includes(argument))) {
      const started = Date.now();
      try {
        const page = await body(browser);
        assert.deepEqual(page.problems, []);
        await page.context().close();
        console.log(`ok   ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed += 1;
        console.log(`FAIL ${name}\n     ${error.message}`);
      }
    }
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
  if (failed > 0) process.exitCode = 1;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
