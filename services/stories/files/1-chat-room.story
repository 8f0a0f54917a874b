story    chat-room
title    A chat room carries one of its own
shows    Forty pledges from friends and strangers for one case, and what became of them.
starts   2021-11-24T10:00Z
fund     jilin-room currency=CNY share=CNY100 vouchers_required=1
expect   jilin-room asked=CNY10,000 promised=CNY10,100 placed=CNY10,000 settled=CNY10,000 delivered=CNY10,000 released=CNY100 waiting=CNY0 notices=217

when       | door  | fund       | event            | what
> Jilin. Someone of 50, ten months ill with a cancer past curing, has given up treatment for what it costs.
+0d 00:02  | http  | jilin-room | rate.quoted      | currency=KRW rate=0.0054
+0d 00:02  | http  | jilin-room | rate.quoted      | currency=USD rate=7.14
> A neighbour asks for CNY 10,000 for care at home, and vouches.
+0d 00:05  | http  | jilin-room | case.submitted   | case=room-a beneficiary=person-a need=treatment route=home goal=CNY10,000 priority=asap access=CN-JL/unregistered
+0d 00:20  | http  | jilin-room | case.vouched     | case=room-a voucher=neighbour-1
> Pledges come in: from the chat room, and from strangers abroad.
+0d 00:53  | http  | jilin-room | pledge.made      | pledge=room-01 donor=room-01 amount=CNY200
+0d 01:20  | http  | jilin-room | pledge.made      | pledge=room-02 donor=room-02 amount=CNY100
+0d 02:31  | http  | jilin-room | pledge.made      | pledge=room-03 donor=stranger-03 amount=CNY150
+0d 03:28  | http  | jilin-room | pledge.made      | pledge=room-04 donor=room-04 amount=CNY100
+0d 04:19  | http  | jilin-room | pledge.made      | pledge=room-05 donor=room-05 amount=USD50
+0d 06:24  | http  | jilin-room | pledge.made      | pledge=room-06 donor=room-06 amount=CNY100
+0d 07:52  | topic | jilin-room | pledge.made      | pledge=room-07 donor=room-07 amount=CNY1,000
+0d 09:19  | http  | jilin-room | pledge.made      | pledge=room-08 donor=stranger-08 amount=CNY200
+0d 11:40  | http  | jilin-room | pledge.made      | pledge=room-09 donor=stranger-09 amount=CNY100
+0d 12:00  | http  | jilin-room | pledge.made      | pledge=room-10 donor=stranger-10 amount=CNY50
+0d 12:07  | http  | jilin-room | pledge.made      | pledge=room-11 donor=room-11 amount=KRW100,000
+0d 12:18  | http  | jilin-room | pledge.made      | pledge=room-12 donor=room-12 amount=CNY200
+0d 14:07  | http  | jilin-room | pledge.made      | pledge=room-13 donor=room-13 amount=USD50
+0d 14:08  | topic | jilin-room | pledge.made      | pledge=room-14 donor=room-14 amount=CNY50
+0d 14:31  | http  | jilin-room | pledge.made      | pledge=room-15 donor=room-15 amount=CNY100
+0d 15:59  | http  | jilin-room | pledge.made      | pledge=room-16 donor=stranger-16 amount=CNY300
+0d 16:20  | http  | jilin-room | pledge.made      | pledge=room-17 donor=room-17 amount=CNY500
+0d 18:52  | http  | jilin-room | pledge.made      | pledge=room-18 donor=room-18 amount=KRW50,000
+0d 21:33  | http  | jilin-room | pledge.made      | pledge=room-19 donor=stranger-19 amount=CNY50
+0d 23:58  | http  | jilin-room | pledge.made      | pledge=room-20 donor=stranger-20 amount=KRW50,000
+1d 00:37  | topic | jilin-room | pledge.made      | pledge=room-21 donor=stranger-21 amount=USD50
+1d 01:23  | http  | jilin-room | pledge.made      | pledge=room-22 donor=room-22 amount=CNY500
+1d 01:33  | http  | jilin-room | pledge.made      | pledge=room-23 donor=stranger-23 amount=CNY200
+1d 01:47  | http  | jilin-room | pledge.made      | pledge=room-24 donor=stranger-24 amount=CNY200
+1d 02:04  | http  | jilin-room | pledge.made      | pledge=room-25 donor=room-25 amount=CNY200
+1d 02:41  | http  | jilin-room | pledge.made      | pledge=room-26 donor=stranger-26 amount=CNY300
+1d 03:20  | http  | jilin-room | pledge.made      | pledge=room-27 donor=stranger-27 amount=CNY100
+1d 03:22  | topic | jilin-room | pledge.made      | pledge=room-28 donor=stranger-28 amount=CNY100
+1d 04:06  | http  | jilin-room | pledge.made      | pledge=room-29 donor=room-29 amount=CNY100
+1d 04:43  | http  | jilin-room | pledge.made      | pledge=room-30 donor=stranger-30 amount=CNY300
+1d 04:47  | http  | jilin-room | pledge.made      | pledge=room-31 donor=stranger-31 amount=CNY200
+1d 05:35  | http  | jilin-room | pledge.made      | pledge=room-32 donor=room-32 amount=CNY200
+1d 06:27  | http  | jilin-room | pledge.made      | pledge=room-33 donor=room-33 amount=CNY200
+1d 07:50  | http  | jilin-room | pledge.made      | pledge=room-34 donor=stranger-34 amount=CNY300
+1d 08:32  | topic | jilin-room | pledge.made      | pledge=room-35 donor=room-35 amount=CNY50
+1d 09:20  | http  | jilin-room | pledge.made      | pledge=room-36 donor=stranger-36 amount=CNY200
+1d 09:55  | http  | jilin-room | pledge.made      | pledge=room-37 donor=room-37 amount=CNY100
+1d 10:47  | http  | jilin-room | pledge.made      | pledge=room-38 donor=room-38 amount=CNY500
+1d 10:57  | http  | jilin-room | pledge.made      | pledge=room-39 donor=stranger-39 amount=KRW100,000
> A day and a half in. One more, and the sum is there.
+1d 12:20  | http  | jilin-room | pledge.made      | pledge=room-40 donor=stranger-40 amount=CNY359
> One pledge more comes too late, and its donor takes it back.
+1d 13:05  | http  | jilin-room | pledge.made      | pledge=room-41 donor=stranger-41 amount=CNY100
+1d 15:00  | http  | jilin-room | pledge.withdrawn | pledge=room-41
> A promise is not money yet. Over the next days the donors pay.
+1d 16:34  | http  | jilin-room | payment.received | pledge=room-12 payment=pay-room-12 amount=CNY200
+1d 18:33  | http  | jilin-room | payment.received | pledge=room-04 payment=pay-room-04 amount=CNY100
+1d 18:35  | http  | jilin-room | payment.received | pledge=room-19 payment=pay-room-19 amount=CNY50
+1d 22:45  | http  | jilin-room | payment.received | pledge=room-32 payment=pay-room-32 amount=CNY200
+2d 00:54  | http  | jilin-room | payment.received | pledge=room-09 payment=pay-room-09 amount=CNY100
+2d 02:48  | http  | jilin-room | payment.received | pledge=room-25 payment=pay-room-25 amount=CNY200
+2d 03:42  | http  | jilin-room | payment.received | pledge=room-35 payment=pay-room-35 amount=CNY50
+2d 05:40  | http  | jilin-room | payment.received | pledge=room-05 payment=pay-room-05 amount=USD50
+2d 06:02  | topic | jilin-room | payment.received | pledge=room-31 payment=pay-room-31 amount=CNY200
+2d 06:51  | http  | jilin-room | payment.received | pledge=room-07 payment=pay-room-07-a amount=CNY500
+2d 08:21  | http  | jilin-room | payment.received | pledge=room-07 payment=pay-room-07-b amount=CNY500
+2d 09:13  | http  | jilin-room | payment.received | pledge=room-20 payment=pay-room-20 amount=KRW50,000
+2d 12:20  | http  | jilin-room | payment.received | pledge=room-30 payment=pay-room-30 amount=CNY300
+2d 13:11  | http  | jilin-room | payment.received | pledge=room-16 payment=pay-room-16 amount=CNY300
+2d 15:41  | http  | jilin-room | payment.received | pledge=room-40 payment=pay-room-40 amount=CNY359
+2d 17:48  | http  | jilin-room | payment.received | pledge=room-11 payment=pay-room-11 amount=KRW100,000
+2d 20:24  | http  | jilin-room | payment.received | pledge=room-13 payment=pay-room-13 amount=USD50
+2d 23:27  | http  | jilin-room | payment.received | pledge=room-01 payment=pay-room-01 amount=CNY200
> The neighbour brings a part for medicine, and a week later the rest.
+3d 02:00  | http  | jilin-room | case.delivered   | case=room-a delivery=room-a-1 amount=CNY4,000
+3d 02:44  | topic | jilin-room | payment.received | pledge=room-34 payment=pay-room-34 amount=CNY300
+3d 06:16  | http  | jilin-room | payment.received | pledge=room-38 payment=pay-room-38 amount=CNY500
+3d 06:33  | http  | jilin-room | payment.received | pledge=room-29 payment=pay-room-29 amount=CNY100
+3d 06:55  | http  | jilin-room | payment.received | pledge=room-27 payment=pay-room-27 amount=CNY100
+3d 07:08  | http  | jilin-room | payment.received | pledge=room-21 payment=pay-room-21 amount=USD50
+3d 08:19  | http  | jilin-room | payment.received | pledge=room-08 payment=pay-room-08 amount=CNY200
+3d 10:31  | http  | jilin-room | payment.received | pledge=room-18 payment=pay-room-18 amount=KRW50,000
+3d 14:01  | http  | jilin-room | payment.received | pledge=room-39 payment=pay-room-39 amount=KRW100,000
+3d 16:03  | http  | jilin-room | payment.received | pledge=room-22 payment=pay-room-22 amount=CNY500
+3d 18:46  | topic | jilin-room | payment.received | pledge=room-17 payment=pay-room-17 amount=CNY500
+3d 21:14  | http  | jilin-room | payment.received | pledge=room-23 payment=pay-room-23 amount=CNY200
+3d 23:56  | http  | jilin-room | payment.received | pledge=room-36 payment=pay-room-36 amount=CNY200
+4d 00:31  | http  | jilin-room | payment.received | pledge=room-06 payment=pay-room-06 amount=CNY100
+4d 02:03  | http  | jilin-room | payment.received | pledge=room-24 payment=pay-room-24 amount=CNY200
+4d 03:14  | http  | jilin-room | payment.received | pledge=room-03 payment=pay-room-03 amount=CNY150
+4d 03:23  | http  | jilin-room | payment.received | pledge=room-10 payment=pay-room-10 amount=CNY50
+4d 03:59  | http  | jilin-room | payment.received | pledge=room-26 payment=pay-room-26 amount=CNY300
+4d 05:12  | http  | jilin-room | payment.received | pledge=room-37 payment=pay-room-37 amount=CNY100
+4d 05:29  | topic | jilin-room | payment.received | pledge=room-15 payment=pay-room-15 amount=CNY100
+4d 06:36  | http  | jilin-room | payment.received | pledge=room-02 payment=pay-room-02 amount=CNY100
+4d 08:07  | http  | jilin-room | payment.received | pledge=room-28 payment=pay-room-28 amount=CNY100
+4d 09:41  | http  | jilin-room | payment.received | pledge=room-14 payment=pay-room-14 amount=CNY50
+4d 10:28  | http  | jilin-room | payment.received | pledge=room-33 payment=pay-room-33 amount=CNY200
+10d 02:00 | http  | jilin-room | case.delivered   | case=room-a delivery=room-a-2 amount=CNY6,000
> She thanks them all. Nobody has learnt who anybody is.
+10d 09:00 | http  | jilin-room | case.thanked     | case=room-a thanks=not-alone
+10d 10:00 | http  | jilin-room | case.closed      | case=room-a outcome=completed
