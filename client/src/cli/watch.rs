//! The watch: a table that is drawn anew in place on a terminal, a line for each change elsewhere.

use std::{io::IsTerminal as _, time::Duration};

use console::Term;
use kuota_client::{AvailabilityFilter, Board, Slot, SlotKey, SlotState, Update};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{
    Args,
    instant::Zones,
    json,
    report::{DONE, Failed, count, print},
    table,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  kuota watch --office kanim-pontianak --lane REGULAR
  kuota watch --output json --for 60 | jq .available

Ctrl-C ends it, with exit code 0.";

/// A table is drawn at most so often: faster is not read.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
/// As good as for ever, and still a time.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Where updates go.
enum Screen {
    Live { term: Term, is_coloured: bool, drawn_lines: usize, zones: Zones },
    Lines { is_json: bool },
}

pub(super) async fn run(args: &Args, filter: AvailabilityFilter, seconds: Option<u64>) -> Result<u8, Failed> {
    let client = args.connect().await?;
    let is_live = !args.is_json() && std::io::stdout().is_terminal();
    let mut screen = if is_live {
        let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // Zones are a courtesy: without them times are shown in UTC.
        let zones = Zones::of(&client.offices().await.unwrap_or_default());
        Screen::Live { term: Term::stdout(), is_coloured, drawn_lines: 0, zones }
    } else {
        Screen::Lines { is_json: args.is_json() }
    };
    let end = Instant::now() + seconds.map_or(FOR_EVER, Duration::from_secs).min(FOR_EVER);
    let (mut watch, mut board, mut is_drawn) = (client.watch(filter), Board::default(), true);
    let mut ticks = interval(DRAW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            update = watch.next() => {
                let update = update?;
                if !screen.tell(&board, &update) {
                    return Ok(DONE);
                }
                board.apply(&update);
                is_drawn = false;
            }
            _ = ticks.tick(), if !is_drawn => {
                screen.draw(&board);
                is_drawn = true;
            }
            () = sleep_until(end) => break,
            _ = &mut interrupted => break,
        }
    }
    if !is_drawn {
        screen.draw(&board);
    }
    Ok(DONE)
}

impl Screen {
    /// Prints what differs from the board, a line each; says whether anybody still reads.
    fn tell(&self, board: &Board, update: &Update) -> bool {
        let Self::Lines { is_json } = self else { return true };
        let (Update::Snapshot(slots) | Update::Changed(slots)) = update;
        let mut text = String::new();
        for watched in slots {
            let Some(slot) = &watched.slot else { continue };
            if board.get(&SlotKey::of(slot)) == Some(slot) {
                continue;
            }
            text.push_str(&if *is_json { json::watched(watched) } else { table::slot_line(slot) });
            text.push('\n');
        }
        text.is_empty() || print(&text)
    }

    /// Draws the board over what was drawn before.
    fn draw(&mut self, board: &Board) {
        let Self::Live { term, is_coloured, drawn_lines, zones } = self else { return };
        let slots: Vec<&Slot> = board.slots().collect();
        let (rows, columns) = term.size();
        let lines = lines(&slots, zones, usize::from(rows), usize::from(columns), *is_coloured);
        // A terminal that is gone shows nothing: Ctrl-C, or its end, ends the watch.
        let _ = term.clear_last_lines(*drawn_lines);
        let _ = term.write_line(&lines.join("\n"));
        *drawn_lines = lines.len();
    }
}

/// The table as it fits on a screen: what is drawn over must not have scrolled away.
fn lines(slots: &[&Slot], zones: &Zones, rows: usize, columns: usize, is_coloured: bool) -> Vec<String> {
    let free: u64 = slots.iter().filter_map(|slot| slot.available).map(u64::from).sum();
    let table = table::slots_in(slots, zones);
    // One line for the sum, one for the cursor.
    let fitting = rows.saturating_sub(2).max(2);
    let clip = |line: &str| line.chars().take(columns.max(1)).collect::<String>();
    let mut lines: Vec<String> = table.lines().take(fitting).map(clip).collect();
    if is_coloured {
        for (line, slot) in lines.iter_mut().skip(1).zip(slots) {
            let state = table::state_name(slot.state());
            *line = line.replacen(state, &format!("\x1b[{}m{state}\x1b[0m", colour(slot.state())), 1);
        }
    }
    let hidden = slots.len().saturating_sub(fitting.saturating_sub(1));
    let more = if hidden == 0 {
        String::new()
    } else {
        format!(", {hidden} of them below: narrow with --office, --from, --to, --lane")
    };
    let free = count(usize::try_from(free).unwrap_or(usize::MAX), "place");
    lines.push(clip(&format!(" {free} free in {}{more}. Ctrl-C ends.", count(slots.len(), "slot"))));
    lines
}

/// As ANSI has it.
fn colour(state: SlotState) -> &'static str {
    match state {
        SlotState::Open => "32",
        SlotState::SoldOut => "31",
        SlotState::NotOpenYet => "33",
        SlotState::Paused => "35",
        SlotState::Closed | SlotState::Unspecified => "2",
    }
}

#[cfg(test)]
mod tests {
    use kuota_client::Lane;

    use super::*;

    fn slot(day: u32, state: SlotState) -> Slot {
        Slot {
            office_id: "ukk-sintang".into(),
            service_date: format!("2026-11-{day:02}"),
            lane: Lane::Regular.into(),
            capacity: 10,
            available: Some(3),
            state: state.into(),
            open_time: None,
        }
    }

    #[test]
    fn a_table_that_does_not_fit_is_clipped_and_says_so() {
        let slots: Vec<Slot> = (1..=28).map(|day| slot(day, SlotState::Open)).collect();
        let slots: Vec<&Slot> = slots.iter().collect();
        let drawn = lines(&slots, &Zones::default(), 10, 40, false);
        assert_eq!(drawn.len(), 9, "the cursor has the last line");
        assert!(drawn.iter().all(|line| line.len() <= 40), "{drawn:?}");
        let drawn = lines(&slots, &Zones::default(), 10, 200, false);
        assert!(drawn[8].starts_with(" 84 places free in 28 slots, 21 of them below"), "{drawn:?}");
        let drawn = lines(&slots, &Zones::default(), 40, 200, false);
        assert_eq!(drawn[29], " 84 places free in 28 slots. Ctrl-C ends.");
    }

    #[test]
    fn only_the_state_is_coloured() {
        let (open, sold_out) = (slot(1, SlotState::Open), slot(2, SlotState::SoldOut));
        let drawn = lines(&[&open, &sold_out], &Zones::default(), 10, 200, true);
        assert!(drawn[1].contains("REGULAR  \x1b[32mOPEN\x1b[0m "), "{drawn:?}");
        assert!(drawn[2].contains("REGULAR  \x1b[31mSOLD_OUT\x1b[0m "), "{drawn:?}");
        assert!(!drawn[0].contains('\x1b') && !drawn[3].contains('\x1b'));
    }
}
